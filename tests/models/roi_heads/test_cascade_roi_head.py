"""What holds for every RoI head of the cascade family, and for the dynamic and the grid head."""

import numpy as np
import pytest
import torch
from mmcv import ConfigDict

from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import build_head

POOL = dict(type='RoIAlign', output_size=3, sampling_ratio=2)
EXTRACTOR = dict(type='SingleRoIExtractor', roi_layer=POOL, out_channels=4, featmap_strides=[8, 16])
SEMANTIC = dict(
    semantic_roi_extractor=dict(
        type='SingleRoIExtractor', roi_layer=dict(POOL, output_size=6), out_channels=4, featmap_strides=[8]
    ),
    semantic_head=dict(
        type='FusedSemanticHead', num_ins=2, fusion_level=0, num_convs=1, in_channels=4, conv_out_channels=4,
        num_classes=5,
    ),
)  # fmt: skip
BOX = dict(
    type='Shared2FCBBoxHead', in_channels=4, fc_out_channels=8, roi_feat_size=3, num_classes=3, reg_class_agnostic=True
)
MASK = dict(type='FCNMaskHead', num_convs=2, in_channels=4, conv_out_channels=4, num_classes=3)
STAGES = dict(num_stages=2, stage_loss_weights=[1, 0.5], bbox_roi_extractor=EXTRACTOR)
MASKED = dict(STAGES, bbox_head=BOX, mask_roi_extractor=EXTRACTOR)
HTC_MASKS = [dict(MASK, type='HTCMaskHead', with_conv_res=False), dict(MASK, type='HTCMaskHead')]
SCNET = dict(
    MASKED,
    type='SCNetRoIHead',
    bbox_head=dict(BOX, type='SCNetBBoxHead', num_shared_fcs=2),
    mask_head=dict(MASK, type='SCNetMaskHead'),
    semantic_roi_extractor=SEMANTIC['semantic_roi_extractor'],
    semantic_head=dict(SEMANTIC['semantic_head'], type='SCNetSemanticHead', num_convs=2),
    glbctx_head=dict(
        type='GlobalContextHead', num_convs=2, in_channels=4, conv_out_channels=4, num_classes=3, conv_to_res=True
    ),
    feat_relay_head=dict(
        type='FeatureRelayHead', in_channels=8, out_conv_channels=4, roi_feat_size=3, scale_factor=1
    ),
)  # fmt: skip
GRID = dict(
    type='GridRoIHead',
    bbox_roi_extractor=EXTRACTOR,
    bbox_head=dict(BOX, with_reg=False),
    grid_roi_extractor=dict(EXTRACTOR, roi_layer=dict(POOL, output_size=8)),
    grid_head=dict(
        type='GridHead', num_convs=2, roi_feat_size=8, in_channels=4, point_feat_channels=2,
        norm_cfg=dict(type='GN', num_groups=3),
    ),
)  # fmt: skip
HEADS = dict(
    cascade=dict(STAGES, type='CascadeRoIHead', bbox_head=BOX),
    class_wise=dict(STAGES, type='CascadeRoIHead', bbox_head=dict(BOX, reg_class_agnostic=False)),
    cascade_mask=dict(MASKED, type='CascadeRoIHead', mask_head=MASK),
    shared_rois=dict(MASKED, type='CascadeRoIHead', mask_head=MASK, mask_roi_extractor=None),
    htc=dict(MASKED, type='HybridTaskCascadeRoIHead', mask_head=HTC_MASKS),
    htc_semantic=dict(MASKED, type='HybridTaskCascadeRoIHead', mask_head=HTC_MASKS, **SEMANTIC),
    htc_apart=dict(
        MASKED, type='HybridTaskCascadeRoIHead', mask_head=HTC_MASKS[0], interleaved=False, mask_info_flow=False
    ),
    htc_boxes=dict(STAGES, type='HybridTaskCascadeRoIHead', bbox_head=BOX),
    scnet=SCNET,
    dynamic=dict(type='DynamicRoIHead', bbox_roi_extractor=EXTRACTOR, bbox_head=dict(BOX, reg_class_agnostic=False)),
    grid=GRID,
)
BOX_LOSSES = {'loss_cls', 'loss_bbox', 'acc'}
STAGED = {f's{stage}.{name}' for stage in range(2) for name in BOX_LOSSES}
STAGED_MASKS = STAGED | {'s0.loss_mask', 's1.loss_mask'}
LOSSES = dict(
    cascade=STAGED,
    class_wise=STAGED,
    cascade_mask=STAGED_MASKS,
    shared_rois=STAGED_MASKS,
    htc=STAGED_MASKS,
    htc_semantic=STAGED_MASKS | {'loss_semantic_seg'},
    htc_apart=STAGED_MASKS,
    htc_boxes=STAGED,
    scnet=STAGED | {'loss_mask', 'loss_semantic_seg', 'loss_glbctx'},
    dynamic=BOX_LOSSES,
    grid={'loss_cls', 'loss_grid', 'acc'},
)
OF_IMAGES = {'loss_semantic_seg', 'loss_glbctx'}  # not of boxes


def of_family(*left_out):
    return pytest.mark.parametrize('name', [name for name in HEADS if name not in left_out])


@pytest.fixture
def make(rcnn_cfg):
    def build(name, sampler='RandomSamplerWithIgnore', **changes):
        torch.manual_seed(0)
        train_cfg, test_cfg = rcnn_cfg
        train_cfg.sampler.type = sampler
        train_cfg.update(pos_radius=1)
        train_cfg.dynamic_rcnn = ConfigDict(
            iou_topk=3, beta_topk=2, update_iter_interval=100, initial_iou=0.4, initial_beta=1.0
        )
        cfg = {**HEADS[name], **changes}
        if 'num_stages' in cfg:
            train_cfg = [train_cfg] * 2
        head = build_head(ConfigDict(train_cfg=train_cfg, test_cfg=test_cfg, **cfg))
        with torch.no_grad():
            for p in (p for p in head.parameters() if p.dim() > 1):
                p.copy_(torch.randn_like(p) * 0.3)
        return head

    return build


@pytest.fixture
def batch(roi_batch):
    roi_batch.pop('gt_extra_labels')
    roi_batch['gt_masks'] = [
        BitmapMasks(np.ones((len(boxes), 96, 128), dtype=np.uint8), 96, 128) for boxes in roi_batch['gt_bboxes']
    ]
    roi_batch['gt_semantic_seg'] = torch.arange(2 * 12 * 16).reshape(2, 1, 12, 16) % 5
    return roi_batch


def train(head, batch, **changes):
    torch.manual_seed(1)  # the grid head jitters
    losses = head.forward_train(**{**batch, **changes})
    return losses, sum(value for key, value in losses.items() if 'loss' in key)


def one_image(batch, i):
    return [f[i : i + 1] for f in batch['x']], batch['proposal_list'][i : i + 1], batch['img_metas'][i : i + 1]


@of_family()
def test_results_as_tensors_are_those_of_a_test(name, make, batch):
    head = make(name).eval()
    inputs = batch['x'], batch['proposal_list'], batch['img_metas']
    with torch.no_grad():
        results = head.simple_test(*inputs)
        dets, labels, *_ = head.onnx_export(*inputs)
    found = 0
    for result, own_dets, own_labels in zip(results, dets, labels):
        for label, expected in enumerate(result[0] if isinstance(result, tuple) else result):
            np.testing.assert_allclose(own_dets[own_labels == label], expected, rtol=1e-4, atol=1e-4)
            found += len(expected)
    assert found == (labels >= 0).sum() > 0


@of_family()
def test_training_gives_its_losses_and_reaches_every_parameter(name, make, batch):
    head = make(name)
    losses, total = train(head, batch)
    assert set(losses) == LOSSES[name]
    total.backward()
    still = [n for n, p in head.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not [n for n in still if 'bias' not in n and 'conv_res' not in n]


@of_family()
def test_nothing_sampled_keeps_all_keys_and_every_parameter(name, make, batch):
    head = make(name)
    flagged = [dict(meta, ignore_negatives=1) for meta in batch['img_metas']]
    nothing = dict(gt_bboxes=[torch.zeros(0, 4)] * 2, gt_labels=[torch.zeros(0).long()] * 2, img_metas=flagged)
    losses, total = train(head, batch, **nothing)
    assert set(losses) == LOSSES[name]
    assert all(value == 0 for key, value in losses.items() if key not in OF_IMAGES)
    total.backward()
    assert total.isfinite() and all(p.grad is not None for p in head.parameters())


@of_family()
def test_only_negatives_trains(name, make, batch):
    head = make(name)
    losses, total = train(head, batch, gt_bboxes=[torch.zeros(0, 4)] * 2, gt_labels=[torch.zeros(0).long()] * 2)
    assert set(losses) == LOSSES[name] and total.isfinite()
    total.backward()
    assert all(p.grad is not None for p in head.parameters())
    assert all(losses[key] == 0 for key in losses if key.endswith(('loss_bbox', 'loss_mask', 'loss_grid')))


@of_family('scnet')
def test_box_losses_are_linear_in_the_weight_of_an_image(name, make, batch):
    box_head = dict(HEADS[name]['bbox_head'], type='Shared2FCBBoxHeadWithWeightPerImage')
    head = make(name, bbox_head=box_head)

    def losses(w):
        metas = [{**batch['img_metas'][0], 'roi_head.loss_weight': w}, batch['img_metas'][1]]
        return {k: v for k, v in train(head, batch, img_metas=metas)[0].items() if 'mask' not in k and 'loss' in k}

    at0, at1, at10 = losses(0), losses(1), losses(10)
    for key in set(at0) - OF_IMAGES:
        assert at1[key] > at0[key] > 0, key
        torch.testing.assert_close(at10[key], at0[key] + 10 * (at1[key] - at0[key]), rtol=1e-4, atol=1e-6)


@of_family('dynamic', 'grid')
def test_flagged_images_have_no_negatives_in_any_stage(name, make, batch):
    head = make(name)
    counts = []
    sample = head._sample
    head._sample = lambda *args: counts.append(sample(*args)) or counts[-1]
    metas = [dict(batch['img_metas'][0], ignore_negatives=1), batch['img_metas'][1]]
    train(head, batch, img_metas=metas)
    assert len(counts) == (4 if head.interleaved and head.with_mask else 2)
    assert all(len(flagged.neg_bboxes) == 0 < len(flagged.pos_bboxes) for flagged, _ in counts)


@of_family('dynamic', 'grid')
def test_hard_mining_asks_the_box_head_of_its_stage(name, make, batch):
    head = make(name, 'OHEMSampler')
    assert [sampler.bbox_head for sampler in head.bbox_sampler] == list(head.bbox_head)
    for sampler in head.bbox_sampler:
        sampler.num = 4
    assert train(head, batch)[1].isfinite()


@of_family()
@pytest.mark.parametrize('rescale', [False, True])
def test_batch_inference_equals_image_by_image(name, rescale, make, batch):
    head = make(name).eval()
    both = head.simple_test(batch['x'], batch['proposal_list'], batch['img_metas'], rescale=rescale)
    for i in range(2):
        (one,) = head.simple_test(*one_image(batch, i), rescale=rescale)
        assert_same_results(both[i], one, head.with_mask)
        if head.with_mask:
            assert {m.shape for m in sum(one[1], [])} == {(48, 64) if rescale else (96, 128)}


def assert_same_results(a, b, with_mask):
    boxes = (a[0], b[0]) if with_mask else (a, b)
    assert sum(map(len, boxes[0])) > 0
    for mine, other in zip(*boxes):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-3)
    if with_mask:
        assert [len(m) for m in a[1]] == [len(d) for d in a[0]]
        assert all((mine == other).mean() > 0.99 for mine, other in zip(sum(a[1], []), sum(b[1], [])))


@of_family()
@pytest.mark.parametrize('counts', [(0, 3), (0, 0)])
def test_inference_with_images_without_proposals(name, counts, make, batch):
    head = make(name).eval()
    proposals = [p[:n] for p, n in zip(batch['proposal_list'], counts)]
    results = head.simple_test(batch['x'], proposals, batch['img_metas'], rescale=True)
    boxes = [result[0] if head.with_mask else result for result in results]
    assert [sum(map(len, of_image)) > 0 for of_image in boxes] == [n > 0 for n in counts]
    assert all(of_class.shape[1] == 5 for of_image in boxes for of_class in of_image)


@of_family()
def test_one_unflipped_view_gives_the_simple_result(name, make, batch):
    head = make(name).eval()
    x, (proposals,), (meta,) = one_image(batch, 0)
    meta = dict(meta, scale_factor=np.float32([2] * 4), flip=False, flip_direction=None)
    (simple,) = head.simple_test(x, [proposals], [meta], rescale=True)
    (merged,) = head.aug_test([x], [proposals / 2], [[meta]], rescale=True)
    assert_same_results(simple, merged, head.with_mask)
    (scaled,) = head.aug_test([x], [proposals / 2], [[meta]], rescale=False)
    pairs = zip(*(r[0] if head.with_mask else r for r in (scaled, merged)))
    assert all(np.allclose(a[:, :4], b[:, :4] * 2, rtol=1e-4) for a, b in pairs)


@of_family()
def test_aug_test_without_detections(name, make, batch):
    head = make(name).eval()
    head.test_cfg.score_thr = 1.1
    x, (proposals,), (meta,) = one_image(batch, 0)
    views = [[dict(meta, scale_factor=np.float32([2] * 4), flip=f, flip_direction='horizontal')] for f in (0, 1)]
    (result,) = head.aug_test([x, x], [proposals / 2], views, rescale=True)
    boxes, masks = result if head.with_mask else (result, [])
    assert not any(map(len, boxes)) and not any(map(len, masks))


@of_family()
def test_dummy_pass_gives_raw_predictions_of_all_parts(name, make, batch):
    head = make(name).eval()
    outs = head.forward_dummy([f[:1] for f in batch['x']], batch['proposal_list'][0])
    stages = getattr(head, 'num_stages', 1)
    masks = {'scnet': 1}.get(name, stages) if head.with_mask else 0
    assert len(outs) == 2 * stages + masks + (name == 'grid')
    assert outs[0].shape == (6, 4)
