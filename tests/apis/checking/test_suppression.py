"""Settings of suppression are checked before the first boxes."""

import inspect

import pytest

from mmdet.apis.checking.suppression import check_suppression
from mmdet.apis.checking.unknown_keys import check_model_settings
from mmdet.ops.nms import NMS_OPS
from mmdet.utils.configs.config_error import ConfigError


@pytest.mark.parametrize(
    'cfg',
    [
        dict(iou_threshold=0.5),
        dict(type='nms', iou_thr=0.5, class_agnostic=True, max_num=-1, split_thr=10000, offset=1, score_threshold=0.1),
        dict(type='soft_nms', iou_threshold=0.5, min_score=0.05, method='gaussian', sigma=0.5),
        dict(type='nms_rotated', iou_threshold=0.1, clockwise=False),
        None,
    ],
)
def test_right_settings_pass(cfg):
    check_suppression('nms', cfg)


@pytest.mark.parametrize(
    ('cfg', 'text'),
    [
        (dict(type='nmss'), "there is no suppression 'nmss'; did you mean 'nms'"),
        (dict(type='softnms'), "'softnms'; did you mean 'soft_nms' or 'nms'"),
        (dict(type=None), 'there is no suppression None'),
        (dict(type='nms'), "nms needs 'iou_threshold', such as 0.5"),
        ([], 'expected a dict such as .*, got \\[\\]'),
        ('nms', "expected a dict such as .*, got 'nms'"),
        (dict(type='nms', iou_threshold=0.5, sigma=0.5), "nms does not read 'sigma'"),
        (dict(type='nms', iou_treshold=0.5), "'iou_treshold'; did you mean 'iou_threshold'"),
        (dict(type='soft_nms', score_threshold=0.5), "soft_nms does not read 'score_threshold'"),
        (dict(type='soft_nms', method='gausian'), "method: expected 'naive' or 'linear' or 'gaussian', got 'gausian'"),
        (dict(type='soft_nms', sigma=0), 'sigma: expected a number above 0, got 0'),
        (dict(type='soft_nms', min_score='0.1'), 'min_score: expected a number'),
        (dict(type='nms', offset=2), 'offset: expected 0 or 1, got 2'),
        (dict(type='nms', max_num=0), 'max_num: expected a whole number from 1 on'),
        (dict(type='nms', class_agnostic='no'), 'class_agnostic: expected True or False'),
    ],
)
def test_wrong_setting_is_reported_with_its_place(cfg, text):
    model = dict(type='RetinaNet', bbox_head=dict(type='RetinaHead'), test_cfg=dict(nms=cfg))
    with pytest.raises(ConfigError, match=f'^model.test_cfg.nms.*{text}'):
        check_model_settings(model)


def test_arguments_of_every_kind_are_known():
    for function in NMS_OPS.values():
        names = [name for name in list(inspect.signature(function).parameters)[2:] if name != 'labels']
        check_suppression('nms', dict(type=function.__name__, **dict.fromkeys(names)))
