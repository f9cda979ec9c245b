"""Settings of heads as plain dicts, as ``ConfigDict`` and as whole ``mmcv.Config`` objects."""

import pytest
from mmcv import Config, ConfigDict

from mmdet.models import build_head
from mmdet.models.utils.settings import as_config

TRAIN = dict(
    assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3),
    sampler=dict(type='RandomSampler', num=256, pos_fraction=0.5),
    allowed_border=0,
    pos_weight=-1,
    debug=False,
)
TEST = dict(nms_pre=100, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)
HEADS = dict(
    AnchorHead={},
    RetinaHead={},
    RetinaSepBNHead=dict(num_ins=5),
    FreeAnchorRetinaHead={},
    PISARetinaHead={},
    SABLRetinaHead={},
    ATSSHead={},
    FCOSHead={},
    FoveaHead={},
    FSAFHead=dict(reg_decoded_bbox=True),
)


@pytest.mark.parametrize('name', HEADS)
@pytest.mark.parametrize('form', [dict, ConfigDict, Config])
def test_head_takes_settings_of_any_form(name, form):
    head = build_head(
        dict(type=name, num_classes=4, in_channels=1, train_cfg=form(TRAIN), test_cfg=form(TEST), **HEADS[name])
    )
    assert head.train_cfg.assigner.pos_iou_thr == 0.7
    assert head.test_cfg.nms.iou_threshold == 0.5


def test_roi_head_takes_a_config_object():
    head = build_head(dict(type='StandardRoIHead', train_cfg=Config(TRAIN), test_cfg=Config(TEST)))
    assert head.bbox_assigner.pos_iou_thr == 0.7
    assert head.test_cfg.max_per_img == 10


def test_lists_of_settings_stay_lists():
    settings = [dict(a=1), dict(a=2)]
    assert as_config(settings) is settings
    assert as_config(None) is None
