"""Training in static shapes: the losses of the usual way, and host-device synchronisations."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv import Config

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models import build_detector
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.rpn_head import RPNHead
from mmdet.models.options.static_shapes import unsupported_reason
from mmdet.models.source_log import SourceLog
from mmdet.ops import roi
from mmdet.utils.running.host_syncs import count_host_syncs

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
NAMES = {kind: f'{kind}/{kind}_r50_fpn_1x_coco.py' for kind in ('faster_rcnn', 'mask_rcnn', 'retinanet')}
SIZE = (96, 128)
DIRECTIVES = (
    {},
    {'rpn_head.loss_weight': 0.5, 'roi_head.loss_weight': 0.25, 'bbox_head.loss_weight': 0.25},
    {'ignore_negatives': 1},
    {'negatives': dict(type='soft', weight=0.3)},
    {'negatives': 'overlap', 'rpn_head.negative_weight': 0.5},
    {'labeled_classes': [0, 2], 'negatives': dict(type='recalibrate', score_thr=0.4, warmup=0)},
)


def small(kind, fixed_size=False, directives=False, everything=True, **changes):
    """A narrow model of the config; with ``everything`` its samplers leave nothing to chance."""
    torch.manual_seed(0)
    model = Config.fromfile(CONFIGS / NAMES[kind]).model
    model.backbone.update(init_cfg=None, depth=18, base_channels=8)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    heads = [model.bbox_head] if kind == 'retinanet' else [model.rpn_head, model.roi_head.bbox_head]
    for head in heads:
        head.update(in_channels=16, feat_channels=16)
    if kind != 'retinanet':
        model.roi_head.bbox_head.pop('feat_channels')
        model.roi_head.bbox_head.update(fc_out_channels=32, num_classes=4)
        model.roi_head.bbox_roi_extractor.out_channels = 16
        model.train_cfg.rpn_proposal.update(nms_pre=60, max_per_img=40)
        if everything:
            model.train_cfg.rpn.sampler.update(num=100000, pos_fraction=1.0)
            model.train_cfg.rcnn.sampler.update(num=1000, pos_fraction=1.0)
    else:
        model.bbox_head.update(num_classes=4, stacked_convs=1)
    if 'mask_head' in model.get('roi_head', {}):
        model.roi_head.mask_head.update(in_channels=16, conv_out_channels=16, num_classes=4, num_convs=1)
        model.roi_head.mask_roi_extractor.out_channels = 16
    for key, value in changes.items():
        node, *rest = key.split('__')
        target = model
        for part in (node, *rest)[:-1]:
            target = target[part]
        target[(node, *rest)[-1]] = value
    if directives:
        model.directives = dict(weights=True, ignore_negatives=True)
    if fixed_size:
        model.fixed_size = True
    detector = build_detector(model)
    torch.manual_seed(1)
    for parameter in detector.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter, a=1)
    return detector.train()


def batch(*metas, objects=(3, 0, 2), masks=False):
    """Images of noise with so many objects each, and an ignored region in the first."""
    generator = torch.Generator().manual_seed(0)
    metas = [*metas, *[{}] * (len(objects) - len(metas))]
    shape = dict(img_shape=(90, 120, 3), pad_shape=(96, 128, 3), ori_shape=(90, 120, 3), scale_factor=1.0)
    boxes = []
    for count in objects:
        corners = torch.rand(count, 2, generator=generator) * torch.tensor([70, 50])
        boxes.append(torch.cat([corners, corners + 15 + 30 * torch.rand(count, 2, generator=generator)], 1))
    data = dict(
        img=torch.randn(len(objects), 3, *SIZE, generator=generator),
        img_metas=[dict(shape, filename=f'{i}.jpg', **meta) for i, meta in enumerate(metas)],
        gt_bboxes=boxes,
        gt_labels=[torch.randint(0, 4, (count,), generator=generator) for count in objects],
        gt_bboxes_ignore=[torch.tensor([[0.0, 0, 40, 30]]), *[torch.zeros(0, 4)] * (len(objects) - 1)],
    )
    if masks:
        data['gt_masks'] = [BitmapMasks(np.ones((count, *SIZE), np.uint8), *SIZE) for count in objects]
    return data


def losses_and_gradients(detector, data):
    out = detector.train_step(data, None)
    out['loss'].backward()
    gradients = {name: p.grad for name, p in detector.named_parameters() if p.requires_grad}
    return {name: float(value) for name, value in out['log_vars'].items()}, gradients


def assert_same(usual, fixed, data):
    expected, expected_gradients = losses_and_gradients(usual, data)
    got, gradients = losses_and_gradients(fixed, data)
    assert got == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert expected_gradients.keys() == gradients.keys()
    for name, gradient in expected_gradients.items():
        assert gradient is not None and gradients[name] is not None, name
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max() + 1))


@pytest.mark.parametrize('kind', list(NAMES))
def test_losses_and_gradients_are_those_of_the_same_sample(kind):
    pair = small(kind), small(kind, fixed_size=True)
    assert_same(*pair, batch(masks=kind == 'mask_rcnn'))


@pytest.mark.parametrize('directive', DIRECTIVES, ids=lambda d: '+'.join(d) or 'none')
@pytest.mark.parametrize('kind', ['faster_rcnn', 'retinanet'])
def test_directives_count_alike(kind, directive):
    pair = small(kind, directives=True), small(kind, fixed_size=True, directives=True)
    assert_same(*pair, batch(directive, objects=(3, 2)))


@pytest.mark.parametrize(
    'changes',
    [
        dict(train_cfg__rpn__allowed_border=0),
        dict(train_cfg__rpn__pos_weight=2.0, train_cfg__rcnn__pos_weight=3.0),
        dict(train_cfg__rpn_proposal__min_bbox_size=12, train_cfg__rpn_proposal__max_per_img=200),
        dict(train_cfg__rcnn__assigner__ignore_iof_thr=0.5, train_cfg__rpn__assigner__ignore_iof_thr=0.5),
        dict(
            roi_head__bbox_head__reg_decoded_bbox=True, roi_head__bbox_head__loss_bbox=dict(type='GIoULoss'),
            roi_head__bbox_head__reg_class_agnostic=True,
        ),
        dict(train_cfg__rcnn__sampler__add_gt_as_proposals=False),
    ],
    ids=lambda changes: '+'.join(changes),
)  # fmt: skip
def test_settings_count_alike(changes):
    assert_same(small('faster_rcnn', **changes), small('faster_rcnn', fixed_size=True, **changes), batch())


@pytest.mark.parametrize('kind', list(NAMES))
def test_sources_have_the_same_parts(kind):
    logs = []
    for fixed_size in (False, True):
        detector = small(kind, fixed_size)
        detector.source_log = SourceLog(detector, ['a', 'b'])
        data = batch(*({'source': name} for name in 'abb'), objects=(3, 1, 2), masks=kind == 'mask_rcnn')
        logs.append(losses_and_gradients(detector, data)[0])
    assert 'loss_bbox/b' in logs[0] and logs[1] == pytest.approx(logs[0], rel=1e-4, abs=1e-6)


def test_results_for_debugging_are_of_the_rois_that_are_there():
    kept = []
    for fixed_size in (False, True):
        detector = small('faster_rcnn', fixed_size)
        detector.roi_head.keep_debug_results = True
        detector.train_step(batch(), None)
        kept.append(detector.roi_head.debug_results)
    assert kept[0]['features'].shape == kept[1]['features'].shape
    assert sorted(kept[0]['labels'].tolist()) == sorted(kept[1]['labels'].tolist())


def test_a_test_pools_each_roi_once(monkeypatch):
    detector, data = small('faster_rcnn', fixed_size=True).eval(), batch()
    monkeypatch.setattr(roi, '_roi_align_levels', lambda *args: None)
    monkeypatch.setattr(roi, '_pool_everywhere', None)
    for meta in data['img_metas']:
        meta['scale_factor'] = np.ones(4, np.float32)
    with torch.no_grad():
        assert len(detector(img=[data['img']], img_metas=[data['img_metas']], return_loss=False)) == 3


@pytest.mark.parametrize('kind', list(NAMES))
def test_without_objects_the_losses_are_zeros_on_the_graph(kind):
    detector = small(kind, fixed_size=True, directives=True)
    data = batch({'ignore_negatives': 1}, {'ignore_negatives': 1}, objects=(0, 0), masks=kind == 'mask_rcnn')
    losses, gradients = losses_and_gradients(detector, data)
    assert all(value == 0 for name, value in losses.items() if 'loss' in name)
    assert all(gradient is not None and not gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize('kind, most', [('faster_rcnn', 1), ('retinanet', 0)])
def test_host_and_device_synchronise_as_seldom_as_documented(kind, most, monkeypatch):
    monkeypatch.setattr(roi, '_roi_align_levels', lambda *args: None)  # not what only a CPU does
    monkeypatch.setattr(roi, 'pays', lambda *args: False)
    detector, data = small(kind, fixed_size=True, directives=True, everything=False), batch({'negatives': 'overlap'})
    detector.train_step(data, None)['loss'].backward()
    with count_host_syncs() as waits:
        detector.train_step(data, None)['loss'].backward()
    assert sum(waits.values()) == most, waits
    usual = small(kind, directives=True, everything=False)
    with count_host_syncs() as waits:
        usual.train_step(data, None)['loss'].backward()
    assert sum(waits.values()) > most + 2


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(train_cfg__rcnn__sampler=dict(type='OHEMSampler', num=8, pos_fraction=1)), 'roi_head: expected a samp'),
        (dict(train_cfg__rpn__assigner=dict(type='PointAssigner')), 'rpn_head: expected the assigner MaxIoUAssigner'),
        (dict(roi_head__type='PISARoIHead'), 'roi_head: PISARoIHead does not state that it has static shapes'),
        (dict(train_cfg__rcnn__sampler=dict(type='PseudoSampler')), 'roi_head: expected a sampler of RandomSampler'),
        (dict(train_cfg__rpn_proposal__nms=dict(type='soft_nms', iou_threshold=0.7)), "expected type='nms'"),
        (dict(train_cfg__rpn_proposal__nms__max_num=30), "'max_num': 30"),
        (dict(train_cfg__rpn_proposal__nms__class_agnostic=True), "'class_agnostic': True"),
        (dict(train_cfg__rpn_proposal__nms_pre=-1), 'nms_pre > 0'),
        (
            dict(roi_head__bbox_head__type='Shared4Conv1FCBBoxHead', roi_head__bbox_head__norm_cfg=dict(type='BN')),
            'batch norms would take',
        ),
        (dict(train_cfg__domain=dict(image=dict(in_channels=16))), 'train_cfg.domain'),
    ],
)  # fmt: skip
def test_what_has_no_static_shapes_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        small('faster_rcnn', fixed_size=True, everything=False, **changes)


@pytest.mark.parametrize('directives', [False, True])
@pytest.mark.parametrize('stated', [False, True])
def test_subclass_that_does_not_state_it_is_refused_by_name(stated, directives):
    own = type('Own', (RPNHead,), dict(has_static_shapes=True) if stated else {})
    HEADS.register_module(name='Own', module=own, force=True)
    settings = dict(fixed_size=True, directives=directives, rpn_head__type='Own')
    if stated:
        assert small('faster_rcnn', **settings).rpn_head.static_shapes
    else:
        with pytest.raises(ValueError, match=r'rpn_head: Own\w* does not state that it has static shapes \(has_static'):
            small('faster_rcnn', **settings)


@pytest.mark.parametrize('slot', ['roi_head', 'roi_head.bbox_head'])
def test_subclasses_of_the_second_stage_must_state_it_too(slot):
    detector = small('faster_rcnn')
    part = detector.get_submodule(slot)
    part.__class__ = type('Own', (type(part),), {})
    reason = unsupported_reason(detector)
    assert reason == f'{slot}: Own does not state that it has static shapes (has_static_shapes = True)'


@pytest.mark.parametrize(
    'config, reason',
    [
        ('rpn/rpn_r50_fpn_1x_coco.py', None),
        ('pascal_voc/retinanet_r50_fpn_1x_voc0712.py', None),
        ('ms_rcnn/ms_rcnn_r50_caffe_fpn_1x_coco.py', None),
        ('double_heads/dh_faster_rcnn_r50_fpn_1x_coco.py', 'batch norms'),
        ('fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py', 'FCOSHead'),
        ('cascade_rcnn/cascade_rcnn_r50_fpn_1x_coco.py', 'CascadeRoIHead'),
        ('grid_rcnn/grid_rcnn_r50_fpn_gn-head_2x_coco.py', 'GridRoIHead'),
        ('atss/atss_r50_fpn_1x_coco.py', 'ATSSHead'),
        ('free_anchor/retinanet_free_anchor_r50_fpn_1x_coco.py', 'FreeAnchorRetinaHead'),
        ('seesaw_loss/mask_rcnn_r50_fpn_random_seesaw_loss_mstrain_2x_lvis_v1.py', 'SeesawLoss'),
    ],
)
def test_which_configs_have_static_shapes(config, reason):
    model = Config.fromfile(CONFIGS / config).model
    model.backbone.init_cfg = None
    found = unsupported_reason(build_detector(model))
    assert found is None if reason is None else reason in found
