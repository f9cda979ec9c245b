"""Losses of each dense head by source, against other orders of the images and images without weight or objects."""

import copy

import pytest
import torch
from pisa_sabl_sepbn_heads_cases import ASSIGNER, LEVELS, SQUARES
from test_atss_head import KINDS, TWO_LEVELS
from test_cascade_rpn_head import MAX_IOU, REGION, STAGES
from test_detr_head import HEADS as DETRS
from test_guided_anchor_head import APPROXS
from test_guided_anchor_head import SQUARES as GUIDED_SQUARES
from test_guided_anchor_head import TRAIN as GUIDED_TRAIN
from test_ssd_head import ANCHORS as SSD_ANCHORS
from test_ssd_head import TRAIN as SSD_TRAIN
from torch import nn

from mmdet.models.builder import HEADS
from mmdet.models.source_log import SourceLog

SOURCES = ['real', 'synthetic', 'absent']
OWNERS = ['real', 'synthetic', 'synthetic']
FOCAL = dict(type='FocalLoss', use_sigmoid=True)
PLAIN = dict(num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1)
ATSS = dict(assigner=dict(type='ATSSAssigner', topk=3), allowed_border=-1, pos_weight=-1)
BY_IOU = dict(assigner=dict(type='MaxIoUAssigner', **ASSIGNER), allowed_border=-1, pos_weight=-1)
BY_APPROXS = dict(BY_IOU, assigner=dict(type='ApproxMaxIoUAssigner', **ASSIGNER))
CENTRES = dict(
    assigner=dict(type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.4, min_pos_iof=0.01), allowed_border=-1,
    pos_weight=-1,
)  # fmt: skip
GUIDED = dict(
    in_channels=4, feat_channels=4, deform_groups=2, approx_anchor_generator=dict(APPROXS, strides=[8, 16]),
    square_anchor_generator=dict(GUIDED_SQUARES, strides=[8, 16]), train_cfg=GUIDED_TRAIN,
)  # fmt: skip
NO_REDUCTION = dict(loss_cls=dict(FOCAL, reduction='none'), loss_bbox=dict(type='IoULoss', reduction='none'))
POINTS = dict(PLAIN, strides=(8, 16), loss_cls=FOCAL)
PISA = dict(isr=dict(k=2.0, bias=0.0), carl=dict(k=1.0, bias=0.2))
CASES = dict(
    RetinaHead=dict(PLAIN, anchor_generator=LEVELS, loss_cls=FOCAL, train_cfg=BY_IOU),
    ATSSHead=dict(PLAIN, anchor_generator=TWO_LEVELS, norm_cfg=None, train_cfg=ATSS, **KINDS['ATSSHead']),
    GFLHead=dict(PLAIN, anchor_generator=TWO_LEVELS, norm_cfg=None, train_cfg=ATSS, **KINDS['GFLHead']),
    FCOSHead=dict(POINTS, regress_ranges=((-1, 16), (16, 1e8)), norm_cfg=None),
    FoveaHead=dict(POINTS, base_edge_list=(16, 32), scale_ranges=((1, 20), (16, 64))),
    FSAFHead=dict(
        PLAIN, train_cfg=CENTRES, bbox_coder=dict(type='TBLRBBoxCoder', normalizer=4.0), reg_decoded_bbox=True,
        anchor_generator=dict(LEVELS, octave_base_scale=1, scales_per_octave=1, ratios=[1.0]), **NO_REDUCTION,
    ),
    FreeAnchorRetinaHead=dict(PLAIN, anchor_generator=TWO_LEVELS, pre_anchor_topk=3, train_cfg=BY_IOU, loss_cls=FOCAL,
                              loss_bbox=dict(type='SmoothL1Loss', beta=0.11)),
    PISARetinaHead=dict(PLAIN, anchor_generator=LEVELS, loss_cls=FOCAL, train_cfg=BY_IOU | PISA),
    SABLRetinaHead=dict(PLAIN, approx_anchor_generator=LEVELS, square_anchor_generator=SQUARES, train_cfg=BY_APPROXS),
    GARetinaHead=dict(GUIDED, num_classes=3, stacked_convs=1, loss_cls=FOCAL),
    GARPNHead=GUIDED,
    SSDHead=dict(num_classes=3, in_channels=(4, 4), feat_channels=4, anchor_generator=SSD_ANCHORS, train_cfg=SSD_TRAIN),
    PISASSDHead=dict(
        num_classes=3, in_channels=(4, 4), feat_channels=4, anchor_generator=SSD_ANCHORS, train_cfg=SSD_TRAIN | PISA
    ),
    CascadeRPNHead=dict(num_stages=2, stages=STAGES, train_cfg=[REGION, MAX_IOU], test_cfg=None),
    DETRHead=dict(DETRS['detr'], in_channels=4),
    DeformableDETRHead=DETRS['refine'],
)  # fmt: skip
NAMES = {
    'GARPNHead': {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_anchor_shape', 'loss_anchor_loc'},
    'CascadeRPNHead': {'s0.loss_rpn_reg', 's1.loss_rpn_reg', 's1.loss_rpn_cls'},
}
WEIGHTED = [
    'RetinaHead', 'ATSSHead', 'GFLHead', 'FCOSHead', 'FoveaHead', 'GARetinaHead', 'GARPNHead', 'SABLRetinaHead',
]  # fmt: skip
PROPOSERS = ('GARPNHead', 'CascadeRPNHead')
OF_BOXES = ('bbox', 'reg', 'centerness', 'dfl', 'iou', 'carl', 'shape', 'positive')
BOXES = [
    torch.tensor([[3.0, 2, 20, 21]]), torch.zeros(0, 4), torch.tensor([[2.0, 10, 15, 30], [10, 1, 31, 26]])
]  # fmt: skip
LABELS = [torch.tensor([1]), torch.zeros(0, dtype=torch.long), torch.tensor([0, 2])]


class Detector(nn.Module):
    """What the log looks for: a head in its slot."""

    def __init__(self, name, weighted=False):
        super().__init__()
        torch.manual_seed(0)
        kind = name + 'WithWeightPerImage' * weighted
        head = HEADS.build(copy.deepcopy(dict(CASES[name], type=kind)))
        with torch.no_grad():
            for p in (p for p in head.parameters() if p.dim() > 1):
                p.copy_(torch.randn_like(p) * 0.2)
        setattr(self, 'rpn_head' if name in PROPOSERS else 'bbox_head', head)


def parts_of(name, order=(0, 1, 2), owners=OWNERS, weights=None, boxes=BOXES, labels=LABELS):
    """(losses, loss -> its parts, all entries) of the images in an order."""
    model = Detector(name, weights is not None)
    head = next(model.children())
    channels = 8 if name == 'DeformableDETRHead' else 4
    generator = torch.Generator().manual_seed(1)
    feats = [torch.randn(3, channels, side, side, generator=generator)[list(order)] for side in (4, 2)]
    shape = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), batch_input_shape=(32, 32), scale_factor=1.0)
    metas = [dict(shape, source=owners[i]) for i in order]
    for meta, weight in zip(metas, weights or []):
        meta.update({'bbox_head.loss_weight': weight, 'rpn_head.loss_weight': weight})
    truth = [boxes[i] for i in order], [labels[i] for i in order]
    log = SourceLog(model, SOURCES)
    with log.recording(metas):
        feats = feats[:1] if name == 'DETRHead' else feats
        losses = head.forward_train(feats, metas, *(truth[:1] if name in PROPOSERS else truth))
    names, values = log.entries(losses)
    entries = dict(zip(names, values.tolist()))
    totals = {
        key: float((sum(v.mean() for v in value) if isinstance(value, list) else value.mean()).detach())
        for key, value in losses.items()
        if 'loss' in key
    }
    return totals, {key: [entries[f'{key}/{source}'] for source in SOURCES] for key in totals}, entries


def same(parts, expected):
    return parts == pytest.approx(expected, rel=2e-4, abs=1e-6)


@pytest.mark.parametrize('name', CASES)
def test_parts_add_up_and_follow_the_images(name):
    totals, by_loss, entries = parts_of(name)
    assert set(totals) == NAMES.get(name, set(totals))
    for key, parts in by_loss.items():
        assert sum(parts) == pytest.approx(totals[key], rel=1e-5, abs=1e-7), key
        assert parts[2] == 0 and parts[0] > 0, (key, parts)
    moved, one = parts_of(name, (2, 0, 1))[1], parts_of(name, owners=['synthetic'] * 3)[1]
    for key in by_loss:
        assert same(moved[key], by_loss[key]), key
        assert one[key][::2] == [0, 0] and same(one[key][1], totals[key])
    if 'pos/real' in entries:
        assert entries['pos/real'] > 0 < entries['neg/synthetic']


@pytest.mark.parametrize('name', CASES)
def test_source_without_objects_has_no_part_of_what_only_objects_have(name):
    owners = ['real', 'synthetic', 'real']
    totals, by_loss, entries = parts_of(name, owners=owners)
    of_boxes = [key for key in totals if any(part in key for part in OF_BOXES)]
    assert of_boxes and all(by_loss[key][1] == 0 < by_loss[key][0] for key in of_boxes)
    assert entries.get('pos/synthetic', 0) == 0
    _, by_loss, _ = parts_of(name, boxes=[BOXES[1]] * 3, labels=[LABELS[1]] * 3)
    assert all(by_loss[key] == [0, 0, 0] for key in of_boxes)


@pytest.mark.parametrize('name', WEIGHTED)
def test_parts_are_what_the_source_makes_alone_and_linear_in_its_weight(name):
    weighted = {w: parts_of(name, weights=w) for w in ((1, 1, 1), (1, 0, 0), (0, 1, 1), (0.5, 3, 3))}
    _, both, entries = weighted[1, 1, 1]
    for key, (real, synthetic, _) in both.items():
        assert same(real, weighted[1, 0, 0][0][key]) and same(synthetic, weighted[0, 1, 1][0][key]), key
        assert same(weighted[0.5, 3, 3][1][key], [0.5 * real, 3 * synthetic, 0]), key
    prefix = 'rpn_' if name in PROPOSERS else ''
    assert same(weighted[0.5, 3, 3][2][f'{prefix}weight/synthetic'], 3 * entries[f'{prefix}weight/synthetic'])
    of_zero = weighted[0, 1, 1][2]
    assert of_zero[f'{prefix}pos/real'] == of_zero[f'{prefix}weight/real'] == 0 < of_zero[f'{prefix}ignored/real']
