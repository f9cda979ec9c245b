"""The forms that functions have in graphs, what a graph gives, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from mmdet.apis.export import DetectorGraph, ExportError, check_exportable, operators, requirements
from mmdet.core.utils.misc import filter_scores_and_topk
from mmdet.models.detectors.retinanet import RetinaNet
from mmdet.ops import CornerPool, RoIAlign, batched_nms, nms, read_at_points
from mmdet.ops.roi import pool_from_levels, roi_align
from mmdet.utils.running.device_copy import to_device
from mmdet.utils.running.replaceable import as_written, replaceable, replaced


def made_boxes(num):
    generator = torch.Generator().manual_seed(num)
    low = torch.rand(num, 2, generator=generator) * 50
    size = torch.rand(num, 2, generator=generator) * 30 + 5
    return torch.cat([low, low + size], 1), torch.rand(num, generator=generator)


@pytest.mark.parametrize('number', [0, 60])
@pytest.mark.parametrize(
    'settings', [dict(type='nms', iou_threshold=0.4), dict(iou_thr=0.4, class_agnostic=True, max_num=3), None]
)
def test_suppression_in_a_graph_keeps_what_batched_nms_keeps(number, settings):
    boxes, scores = made_boxes(number)
    groups = torch.arange(number) % 3
    expected = batched_nms(boxes, scores, groups, settings)
    with replaced(operators.IN_GRAPH):
        found = batched_nms(boxes, scores, groups, settings)
    assert all(torch.equal(a, b) for a, b in zip(found, expected))
    assert len(found[1]) == 0 if not number else 0 < len(found[1]) <= number


def test_plain_suppression_in_a_graph_is_that_of_nms():
    boxes, scores = made_boxes(40)
    expected = nms(boxes, scores, 0.3, score_threshold=0.2, max_num=5)
    with replaced(operators.IN_GRAPH):
        found = nms(boxes, scores, 0.3, score_threshold=0.2, max_num=5)
    assert len(found[1]) == 5 and all(torch.equal(a, b) for a, b in zip(found, expected))


@pytest.mark.parametrize('kind', [dict, list, torch.Tensor, type(None)])
def test_best_pairs_in_a_graph_are_those_of_the_filter(kind):
    scores, rows = torch.rand(50, 4), torch.arange(50.0)
    results = {dict: dict(rows=rows), list: [rows], torch.Tensor: rows, type(None): None}[kind]
    expected = filter_scores_and_topk(scores, 0.6, 12, results)
    with replaced(operators.IN_GRAPH):
        found = filter_scores_and_topk(scores, 0.6, 12, results)
    assert all(torch.equal(a, b) for a, b in zip(found[:3], expected[:3])) and len(found[0]) == 12
    assert str(found[3]) == str(expected[3])


def test_pooling_in_a_graph_is_that_of_the_levels():
    feats = [torch.rand(2, 4, 32, 40), torch.rand(2, 4, 16, 20)]
    boxes, _ = made_boxes(9)
    rois = torch.cat([(torch.arange(9) % 2)[:, None].float(), boxes], 1)
    layers = [RoIAlign(3, 1 / stride, 0) for stride in (2, 4)]
    levels = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1, 1])
    expected = pool_from_levels(layers, feats, rois, levels)
    with replaced(operators.IN_GRAPH):
        found = pool_from_levels(layers, feats, rois, levels)
        with pytest.raises(NotImplementedError, match='pool_mode'):
            roi_align(feats[0], rois, 3, pool_mode='max')
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('align_corners', [False, True])
def test_points_in_a_graph_read_what_is_read_image_by_image(align_corners):
    generator = torch.Generator().manual_seed(0)
    maps, images = torch.randn(3, 4, 7, 9, generator=generator), torch.tensor([0, 2, 2, 1, 0])
    points = torch.rand(5, 6, 2, generator=generator) * 90 - 10  # some lie outside
    expected = read_at_points(maps, images, points, 0.125, align_corners)
    with replaced(operators.IN_GRAPH):
        found = read_at_points(maps, images, points, 0.125, align_corners)
        assert read_at_points(maps, images[:0], points[:0], 0.125).shape == (0, 4, 6)
    torch.testing.assert_close(found, expected)


def test_numbers_in_a_graph_are_those_that_are_sent():
    values = [[1, 2], [3, 4.5]]
    with replaced(operators.IN_GRAPH):
        found = to_device(values, torch.float32, torch.device('cpu'))
        array = to_device(np.array(values), torch.float32, torch.device('cpu'))
    assert found.tolist() == array.tolist() == values


def test_a_replaced_function_comes_back():
    double = replaceable(lambda x: 2 * x)
    with replaced({double: lambda x: -x}):
        assert double(3) == -3
        with as_written():
            assert double(3) == 6
        with pytest.raises(ZeroDivisionError), replaced({double: lambda x: 1 / 0}):
            double(3)
        assert double(3) == -3
    assert double(3) == 6


def results_of(detector, images, sizes):
    metas = [
        dict(img_shape=(*size, 3), ori_shape=(*size, 3), pad_shape=(*images.shape[2:], 3), scale_factor=np.ones(4))
        for size in sizes.tolist()
    ]
    with torch.no_grad():
        return detector(return_loss=False, img=[images], img_metas=[metas])


@pytest.mark.parametrize('kind', ['one_stage', 'two_stage'])
def test_graph_gives_what_the_detector_gives(kind, request):
    detector = request.getfixturevalue(kind)
    images, sizes = torch.randn(3, 3, 64, 96), torch.tensor([[64, 96], [50, 70], [64, 33]])
    outputs = dict(zip(DetectorGraph(detector).names, DetectorGraph(detector)(images, sizes)))
    for i, result in enumerate(results_of(detector, images, sizes)):
        boxes = result[0] if isinstance(result, tuple) else result
        found = outputs['labels'][i] >= 0
        assert found.sum() == sum(map(len, boxes)) > 0
        for label, expected in enumerate(boxes):
            rows = outputs['labels'][i] == label
            np.testing.assert_allclose(outputs['dets'][i][rows], expected, atol=1e-4)
        assert (outputs['dets'][i][~found] == 0).all() and (outputs['dets'][i][:, 2] <= sizes[i, 1]).all()
    if kind == 'two_stage':
        assert outputs['masks'].shape == (3, 20, 28, 28)
        assert (outputs['masks'].flatten(2).amax(2) > 0).equal(outputs['labels'] >= 0)


def test_raw_graph_gives_candidates_that_overlap(one_stage):
    images = torch.randn(1, 3, 64, 96)
    _, labels = DetectorGraph(one_stage)(images)
    dets, candidates = DetectorGraph(one_stage, raw=True)(images)
    assert candidates.shape == (1, 1000) and (candidates >= 0).sum() > (labels >= 0).sum() > 0
    scores = dets[0, :, 4]
    assert (scores[:-1] >= scores[1:]).all()
    assert one_stage.bbox_head.test_cfg.nms is not None  # the detector itself is as it was


class WithCorners(RetinaNet):
    """A detector with a layer that has no operator."""

    def __init__(self):
        nn.Module.__init__(self)
        self.pool = CornerPool('top')


class WithATest(RetinaNet):
    """A detector with a test of its own."""

    def __init__(self):
        nn.Module.__init__(self)

    def simple_test(self, img, img_metas, rescale=False):
        return []


class WithoutProposals(RetinaNet):
    """A detector of RoIs that come from elsewhere."""

    def __init__(self):
        nn.Module.__init__(self)
        self.roi_head = nn.Identity()


@pytest.mark.parametrize(
    ('kind', 'text'),
    [
        (WithCorners, 'WithCorners: pool: corner pooling'),
        (WithATest, 'WithATest has a simple_test of its own'),
        (WithoutProposals, 'WithoutProposals .* the proposals of'),
    ],
)
def test_what_has_no_form_is_refused_by_name(kind, text):
    with pytest.raises(ExportError, match=text):
        check_exportable(kind())


def test_soft_suppression_is_refused_but_for_raw(one_stage, monkeypatch):
    soft = {**one_stage.test_cfg, 'nms': dict(type='soft_nms')}
    monkeypatch.setattr(one_stage, 'test_cfg', soft)
    with pytest.raises(ExportError, match="test_cfg.nms: suppression of the type 'soft_nms'"):
        check_exportable(one_stage)
    check_exportable(one_stage, raw=True)


def test_older_torch_is_told_what_is_needed(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.9.1+cpu')
    with pytest.raises(ExportError, match='needs torch 2.14 or newer, this is torch 2.9.1'):
        requirements.require_onnx()


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.14.0')
    monkeypatch.setitem(__import__('sys').modules, 'onnx', None)
    with pytest.raises(ExportError, match='needs the package onnx: pip install'):
        requirements.require_onnx()
