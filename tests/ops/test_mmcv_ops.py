"""What ``mmcv.ops`` shows where mmcv is not compiled, and that the numbers are those of torchvision's operators."""

import importlib
import inspect
import sys
from importlib.machinery import ModuleSpec

import pytest
import torch
import torchvision
from torch.nn import functional

import mmdet.ops as ours
from mmdet._optional_import import OperatorsFinder

# as in mmcv 1.7.2: names, and arguments in their order
SIGNATURES = {
    'active_rotated_filter': 'input indices',
    'batched_nms': 'boxes scores idxs nms_cfg class_agnostic',
    'bbox_overlaps': 'bboxes1 bboxes2 mode aligned offset',
    'box_iou_rotated': 'bboxes1 bboxes2 mode aligned clockwise',
    'carafe': 'features masks kernel_size group_size scale_factor',
    'chamfer_distance': 'xyz1 xyz2',
    'convex_giou': 'pointsets polygons',
    'convex_iou': 'pointsets polygons',
    'deform_conv2d': 'input offset weight stride padding dilation groups deform_groups bias im2col_step',
    'deform_roi_pool': 'input rois offset output_size spatial_scale sampling_ratio gamma',
    'diff_iou_rotated_2d': 'box1 box2',
    'get_compiler_version': '',
    'get_compiling_cuda_version': '',
    'masked_conv2d': 'features mask weight bias padding stride',
    'min_area_polygons': 'pointsets',
    'modulated_deform_conv2d': 'input offset mask weight bias stride padding dilation groups deform_groups',
    'nms': 'boxes scores iou_threshold offset score_threshold max_num',
    'nms_match': 'dets iou_threshold',
    'nms_rotated': 'dets scores iou_threshold labels clockwise',
    'point_sample': 'input points align_corners kwargs',
    'points_in_polygons': 'points polygons',
    'rel_roi_point_to_rel_img_point': 'rois rel_roi_points img spatial_scale',
    'roi_align': 'input rois output_size spatial_scale sampling_ratio pool_mode aligned',
    'roi_align_rotated': 'input rois output_size spatial_scale sampling_ratio aligned clockwise',
    'roi_pool': 'input rois output_size spatial_scale',
    'rotated_feature_align': 'features best_rbboxes spatial_scale points',
    'sigmoid_focal_loss': 'input target gamma alpha weight reduction',
    'soft_nms': 'boxes scores iou_threshold sigma min_score method offset',
    'softmax_focal_loss': 'input target gamma alpha weight reduction',
    'CARAFE': 'kernel_size group_size scale_factor',
    'CARAFEPack': 'channels scale_factor up_kernel up_group encoder_kernel encoder_dilation compressed_channels',
    'CornerPool': 'mode',
    'DeformRoIPool': 'output_size spatial_scale sampling_ratio gamma',
    'DeformRoIPoolPack': 'output_size output_channels deform_fc_channels spatial_scale sampling_ratio gamma',
    'ModulatedDeformRoIPoolPack': 'output_size output_channels deform_fc_channels spatial_scale sampling_ratio gamma',
    'RoIAlign': 'output_size spatial_scale sampling_ratio pool_mode aligned use_torchvision',
    'RoIAlignRotated': 'output_size spatial_scale sampling_ratio aligned clockwise',
    'RoIPool': 'output_size spatial_scale',
    'SAConv2d': 'in_channels out_channels kernel_size stride padding dilation groups bias use_deform',
    'SigmoidFocalLoss': 'gamma alpha weight reduction',
    'SimpleRoIAlign': 'output_size spatial_scale aligned',
    'SoftmaxFocalLoss': 'gamma alpha weight reduction',
    'SyncBatchNorm': 'num_features eps momentum affine track_running_stats group stats_mode',
}
LAYERS = {
    'CARAFENaive', 'Conv2d', 'ConvTranspose2d', 'DeformConv2d', 'DeformConv2dPack', 'Linear', 'MaskedConv2d',
    'MaxPool2d', 'ModulatedDeformConv2d', 'ModulatedDeformConv2dPack', 'MultiScaleDeformableAttention',
}  # fmt: skip


@pytest.fixture(scope='module')
def ops():
    """``mmcv.ops`` as it is without compiled operators, also where the installed mmcv has them."""
    names = [name for name in sys.modules if name == 'mmcv.ops' or name.startswith('mmcv.ops.')]
    kept = {name: sys.modules.pop(name) for name in names}
    attribute = vars(sys.modules['mmcv']).get('ops')
    finder = OperatorsFinder()
    sys.meta_path.insert(0, finder)
    yield importlib.import_module('mmcv.ops')
    sys.meta_path.remove(finder)
    for name in [name for name in sys.modules if name == 'mmcv.ops' or name.startswith('mmcv.ops.')]:
        del sys.modules[name]
    sys.modules.update(kept)
    if attribute is not None:
        sys.modules['mmcv'].ops = attribute


def rois(n=6):
    rng = torch.Generator().manual_seed(0)
    corner = torch.rand(n, 2, generator=rng) * 30
    batch = torch.arange(n)[:, None] % 2
    return torch.cat([batch, corner, corner + 4 + torch.rand(n, 2, generator=rng) * 30], 1)


@pytest.mark.parametrize('name', SIGNATURES)
def test_arguments_are_those_of_mmcv(ops, name):
    # a layer or function may take more, behind those
    parameters = list(inspect.signature(getattr(ops, name)).parameters)
    expected = SIGNATURES[name].split()
    assert parameters[: len(expected)] == expected


def test_names_are_shown_by_the_package_and_by_the_module_that_has_them_in_mmcv(ops):
    assert {*SIGNATURES, *LAYERS} <= set(ops.__all__)
    assert ops.nms is ours.nms and ops.carafe is ours.carafe and ops.RoIAlign is ours.RoIAlign
    from mmcv.ops.carafe import CARAFEPack
    from mmcv.ops.merge_cells import ConcatCell
    from mmcv.ops.nms import batched_nms

    assert (CARAFEPack, ConcatCell, batched_nms) == (ours.CARAFEPack, ours.ConcatCell, ours.batched_nms)
    assert callable(ops.nms)  # the import of the module of that name left the operator in its place


def test_what_is_not_there_names_mmcv_full(ops):
    for statement in (
        'from mmcv.ops import knn',
        'import mmcv.ops.knn',
        'from mmcv.ops.knn import knn',
        'from mmcv.ops.roi_align import RoIAlignFunction',
    ):
        with pytest.raises(ImportError, match=r'mmcv\.ops\.\w+(\.\w+)? needs mmcv-full.*install_mmcv\.sh'):
            exec(statement)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_operator'"):
        _ = ops.no_such_operator
    assert not hasattr(ops, 'no_such_operator')


def test_finder_answers_for_mmcv_ops_alone():
    finder = OperatorsFinder()
    assert isinstance(finder.find_spec('mmcv.ops', None), ModuleSpec)
    assert finder.find_spec('mmcv', None) is None and finder.find_spec('mmcv.opsets', None) is None


def test_roi_operators_are_those_of_torchvision(ops):
    features = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(1))
    pooled = ops.roi_align(features, rois(), 4, 0.5, 2, 'avg', True)
    torch.testing.assert_close(pooled, torchvision.ops.roi_align(features, rois(), 4, 0.5, 2, True))
    torch.testing.assert_close(ops.RoIAlign(4, spatial_scale=0.5, sampling_ratio=2)(features, rois()), pooled)
    torch.testing.assert_close(
        ops.roi_pool(features, rois(), 3, 0.5), torchvision.ops.roi_pool(features, rois(), 3, 0.5)
    )
    with pytest.warns(DeprecationWarning, match='"out_size" is deprecated'):
        layer = ops.RoIAlign(out_size=4, spatial_scale=0.5, sample_num=2)
    torch.testing.assert_close(layer(features, rois()), pooled)


def test_suppression_is_that_of_torchvision(ops):
    boxes, scores = rois(40)[:, 1:], torch.rand(40, generator=torch.Generator().manual_seed(2))
    dets, kept = ops.nms(boxes, scores, 0.4)
    assert torch.equal(kept, torchvision.ops.nms(boxes, scores, 0.4)) and torch.equal(dets[:, 4], scores[kept])
    groups = torch.arange(40) % 3
    _, kept = ops.batched_nms(boxes, scores, groups, dict(type='nms', iou_threshold=0.4))
    assert torch.equal(kept, torchvision.ops.batched_nms(boxes, scores, groups, 0.4))
    with pytest.warns(DeprecationWarning, match='"iou_thr" is deprecated'):
        assert len(ops.nms(boxes, scores, iou_thr=0.4)[1]) == len(torchvision.ops.nms(boxes, scores, 0.4))


def test_deformable_convolution_is_that_of_torchvision(ops):
    torch.manual_seed(0)
    x, weight = torch.rand(2, 4, 7, 7), torch.rand(6, 2, 3, 3)
    offset = torch.randn(2, 2 * 18, 7, 7)
    out = ops.deform_conv2d(x, offset, weight, 1, 1, 1, 2, 2, False, 32)
    torch.testing.assert_close(out, torchvision.ops.deform_conv2d(x, offset, weight, padding=1))
    with pytest.raises(ValueError, match='only bias=False'):
        ops.deform_conv2d(x, offset, weight, 1, 1, 1, 2, 2, True)


def test_masked_convolution_takes_the_padding_before_the_stride(ops):
    torch.manual_seed(0)
    x, weight, mask = torch.rand(1, 2, 5, 5), torch.rand(3, 2, 3, 3), torch.rand(1, 5, 5) > 0.5
    expected = functional.conv2d(x, weight, padding=1) * mask
    torch.testing.assert_close(ops.masked_conv2d(x, mask, weight, None, 1, 1), expected)


def test_focal_losses_are_those_of_torchvision_and_divide_by_rows(ops):
    torch.manual_seed(0)
    logits, target = torch.randn(5, 3), torch.tensor([0, 1, 2, 3, 3])  # 3: no class
    per_entry = torchvision.ops.sigmoid_focal_loss(logits, functional.one_hot(target, 4)[:, :3].float())
    torch.testing.assert_close(ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'none'), per_entry)
    torch.testing.assert_close(ops.SigmoidFocalLoss(2.0, 0.25)(logits, target), per_entry.sum() / 5)
    weighted = ops.SigmoidFocalLoss(2.0, 0.25, torch.tensor([1.0, 2, 3]), 'sum')
    torch.testing.assert_close(weighted(logits, target), (per_entry * torch.tensor([1.0, 2, 3])).sum())
    assert 'weight' in weighted.state_dict()
    # without a modulating factor, softmax focal loss is cross entropy
    classes = target.clamp(max=2)
    entropy = functional.cross_entropy(logits, classes)
    torch.testing.assert_close(ops.SoftmaxFocalLoss(0.0, 1.0)(logits, classes), entropy)


def test_points_are_read_as_by_grid_sample(ops):
    features = torch.arange(12.0).view(1, 1, 3, 4)  # value at row i, column j: 4 i + j
    points = torch.tensor([[[0.125, 0.5 / 3], [0.25, 0.5 / 3], [0.5, 0.5]]])
    torch.testing.assert_close(ops.point_sample(features, points), torch.tensor([[[0, 0.5, 5.5]]]))
    grid = ops.point_sample(features, points[:, :2, None].expand(1, 2, 3, 2))
    torch.testing.assert_close(grid, torch.tensor([[[[0.0] * 3, [0.5] * 3]]]))
    boxes = torch.tensor([[10.0, 20, 30, 60], [0, 0, 40, 40]])
    inside = torch.tensor([[[0.5, 0.25]], [[1.0, 1.0]]])
    expected = torch.tensor([[[20 / 80, 30 / 60]], [[40 / 80, 40 / 60]]])
    torch.testing.assert_close(ops.rel_roi_point_to_rel_img_point(boxes, inside, (60, 80)), expected)
    of_map = ops.rel_roi_point_to_rel_img_point(boxes, inside, torch.zeros(1, 2, 15, 20), spatial_scale=1 / 4)
    torch.testing.assert_close(of_map, expected)


def test_overlaps_are_those_of_torchvision(ops):
    first, second = rois(5)[:, 1:], rois(7)[:, 1:] + 3
    torch.testing.assert_close(ops.bbox_overlaps(first, second), torchvision.ops.box_iou(first, second))
    aligned = ops.bbox_overlaps(first, second[:5], aligned=True)
    torch.testing.assert_close(aligned, torchvision.ops.box_iou(first, second[:5]).diag())
    # 5 x 1 and 5 x 1 pixels, corners included, of which 4 are common
    lines = torch.tensor([[0.0, 0, 4, 0]]), torch.tensor([[1.0, 0, 5, 0]])
    assert ops.bbox_overlaps(*lines, offset=1).item() == pytest.approx(4 / 6)
    assert ops.bbox_overlaps(*lines, mode='iof', offset=1).item() == pytest.approx(4 / 5)
    assert ops.bbox_overlaps(torch.zeros(0), second).shape == (0, 7)
    with pytest.raises(ValueError, match="mode must be 'iou' or 'iof', got 'giou'"):
        ops.bbox_overlaps(first, second, 'giou')


def test_attention_function_reads_the_value_at_its_points(ops):
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    value = torch.arange(6.0).view(1, 6, 1, 1)  # a map of 2 rows and 3 columns
    locations = torch.tensor([[0.5 / 3, 0.25], [2.5 / 3, 0.75]]).view(1, 1, 1, 1, 2, 2)  # middles of cells 0 and 5
    weights = torch.tensor([0.25, 0.75]).view(1, 1, 1, 1, 2)
    shapes, starts = torch.tensor([[2, 3]]), torch.tensor([0])
    out = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)
    assert out.tolist() == [[[0.75 * 5]]]


def test_versions_are_those_of_torch(ops):
    assert ops.get_compiler_version() == 'n/a' or ops.get_compiler_version() in torch.__config__.show()
    assert ops.get_compiling_cuda_version() == (torch.version.cuda or 'not available')


def test_pickling_of_objects_without_a_module_looks_through_it(ops):
    import pickle

    assert pickle.loads(pickle.dumps(torch.nn.functional.relu)) is torch.nn.functional.relu
    assert pickle.whichmodule(object(), 'no_such_name') == '__main__'
