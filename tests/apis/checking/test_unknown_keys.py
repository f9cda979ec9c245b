"""Misspelt keys are told before anything is read: each optional key of a config, one letter wrong."""

import copy

import pytest
from mmcv import Config

from mmdet.apis.checking.config_check import check_config
from mmdet.apis.checking.unknown_keys import check_known_keys, check_model_settings, is_referred_to
from mmdet.utils import compat_cfg
from mmdet.utils.configs.config_error import ConfigError

SOURCE = dict(type='CocoDataset', ann_file='a.json', img_prefix='i/', classes=('a',), pipeline=[])
MODEL = dict(
    type='FasterRCNN',
    backbone=dict(type='ResNet', depth=18),
    rpn_head=dict(type='RPNHead', in_channels=8),
    roi_head=dict(type='StandardRoIHead', bbox_head=dict(type='Shared2FCBBoxHead')),
    train_cfg=dict(
        rpn=dict(assigner={}, sampler={}, allowed_border=-1, pos_weight=-1, debug=False),
        rpn_proposal=dict(nms_pre=10, nms=dict(type='nms', iou_threshold=0.7), max_per_img=5, min_bbox_size=0),
        rcnn=dict(assigner={}, sampler={}, mask_size=28, pos_weight=-1, debug=False),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=10, nms=dict(type='nms', iou_threshold=0.7), max_per_img=5, min_bbox_size=0),
        rcnn=dict(score_thr=0.1, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5, mask_thr_binary=0.5),
    ),
)
CONFIG = dict(
    model=MODEL,
    data=dict(
        train=SOURCE,
        val=SOURCE,
        test=SOURCE,
        samples_per_gpu=2,
        workers_per_gpu=1,
        train_dataloader=dict(pin_memory=True, prefetch_factor=2, class_aware_sampler=dict(num_sample_class=1)),
        val_dataloader=dict(samples_per_gpu=1),
        test_dataloader=dict(samples_per_gpu=1),
    ),
    optimizer=dict(
        type='SGD',
        lr=0.1,
        momentum=0.9,
        weight_decay=0.1,
        paramwise_cfg=dict(bias_lr_mult=2, norm_decay_mult=0, custom_keys=dict(backbone=dict(lr_mult=1, decay_mult=0))),
    ),
    optimizer_config=dict(grad_clip=dict(max_norm=35, norm_type=2)),
    lr_config=dict(policy='step', step=[1], gamma=0.1, warmup='linear', warmup_iters=3, warmup_ratio=0.1),
    momentum_config=dict(policy='step', step=[1]),
    runner=dict(type='EpochBasedRunner', max_epochs=1),
    evaluation=dict(interval=1, metric='bbox', save_best='bbox_mAP', classwise=True, start=1, metric_items=['mAP']),
    checkpoint_config=dict(interval=1, max_keep_ckpts=2, save_optimizer=True, out_dir='x', by_epoch=True),
    log_config=dict(interval=5, hooks=[dict(type='TextLoggerHook', by_epoch=True)]),
    custom_hooks=[dict(type='LinearMomentumEMAHook', momentum=0.1, warm_up=3, priority=49)],
    log_level='INFO',
    load_from=None,
    resume_from=None,
    auto_resume=False,
    workflow=[('train', 1)],
    work_dir='x',
    seed=1,
    device='cpu',
    gpu_ids=[0],
    fp16=dict(loss_scale=512.0),
    auto_scale_lr=dict(enable=False, base_batch_size=16),
    dist_params=dict(backend='nccl', timeout=3),
    custom_imports=dict(imports=[], allow_failed_imports=False),
    cudnn_benchmark=True,
    find_unused_parameters=True,
    opencv_num_threads=0,
    mp_start_method='fork',
    trust_checkpoint=False,
    per_source_log=False,
    on_nonfinite='stop',
)
# built first of all, when their constructors tell; what stands in these is no key of a config
NOT_HERE = (
    'model.backbone',
    'model.rpn_head',
    'model.roi_head',
    'model.type',
    'assigner',
    'sampler',
    'class_aware',
)
# told with their place, but without a name near by
WITHOUT_THE_RIGHT_ONE = ('runner', 'lr', 'paramwise_cfg', 'priority')
NAMES = 'backbone'  # of parameters, chosen by the user


def paths(node, path=()):
    """All keys of the config, as paths."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(node, dict):
            yield (*path, key)
        yield from paths(value, (*path, key))


def misspelt(key):
    return key[:-2] + key[-1] + key[-2] if key[-1] != key[-2] else key[:-1]


def checked(path):
    dotted = '.'.join(map(str, path))
    built_first = dotted in ('model.train_cfg', 'model.test_cfg')
    return (
        not built_first and not any(part in dotted for part in NOT_HERE) and path[-1] not in (NAMES, 'type', 'policy')
    )


ALL_PATHS = [path for path in paths(CONFIG) if checked(path)]


def test_the_config_is_right():
    check_config(compat_cfg(Config(copy.deepcopy(CONFIG))))


@pytest.mark.parametrize('path', ALL_PATHS, ids=lambda path: '.'.join(map(str, path)))
def test_misspelt_key_is_told_with_the_right_one(path):
    content = copy.deepcopy(CONFIG)
    node = content
    for key in path[:-1]:
        node = node[key]
    wrong = misspelt(path[-1])
    node[wrong] = node.pop(path[-1])
    with pytest.raises((ConfigError, ValueError)) as error:
        check_config(compat_cfg(Config(content)))
    assert wrong in str(error.value) or path[-1] in str(error.value)
    if path[-1] not in WITHOUT_THE_RIGHT_ONE:
        assert f"'{path[-1]}'" in str(error.value)


def test_as_many_keys_as_were_reported_are_tried():
    assert len(ALL_PATHS) >= 78


@pytest.mark.parametrize(
    ('key', 'line', 'used'),
    [
        ('side', 'scale = (side, side)', True),
        ('side', "path = f'{side}/a'", True),
        ('side', 'x = {{_base_.side}}', True),
        ('side', 'side = 3', False),
        ('side', 'x = dict(side=3, other_side=side_2)', False),
        ('side', 'x = 1  # the side', False),
        ('side', 'side[0] = 1', True),
        ('side', 'if side == 1: x = 1', True),
    ],
)
def test_reference_is_a_use_and_not_a_setting(key, line, used):
    assert is_referred_to(key, f'{key} = 1\n{line}\n') is used


def test_own_keys_are_accepted_where_they_are_used_or_listed(tmp_path):
    file = tmp_path / 'a.py'
    file.write_text('side = 64\nimg = (side, side)\nimg2 = img\nlog_level = f"{img2}"')
    check_known_keys(Config.fromfile(str(file)))
    file.write_text('my_note = 64')
    with pytest.raises(ConfigError, match=r"'my_note'.*custom_keys=\['my_note'\]"):
        check_known_keys(Config.fromfile(str(file)))
    file.write_text("my_note = 64\ncustom_keys = ['my_note']")
    check_known_keys(Config.fromfile(str(file)))


def test_keys_whose_values_stand_elsewhere_pass_as_in_a_file_that_a_run_wrote():
    check_known_keys(Config(dict(checkpoint='r18.pth', model=dict(backbone=dict(init_cfg=dict(checkpoint='r18.pth'))))))
    with pytest.raises(ConfigError, match="'seeed'.*did you mean 'seed'"):
        check_known_keys(Config(dict(seeed=[3], workflow=[[3]])))


def test_sections_of_heads_from_elsewhere_may_hold_anything():
    from mmdet.models.builder import HEADS

    HEADS.register_module(name='MineForKeys', module=type('MineForKeys', (), {'__module__': 'mine'}))
    try:
        model = copy.deepcopy(MODEL)
        model['test_cfg']['rcnn']['my_thr'] = 1
        with pytest.raises(ConfigError, match='my_thr'):
            check_known_keys(Config(dict(model=model)))
        model['roi_head']['bbox_head']['type'] = 'MineForKeys'
        check_known_keys(Config(dict(model=model)))
    finally:
        HEADS.module_dict.pop('MineForKeys')


def test_misspelt_argument_of_a_sampler_is_told():
    model = dict(
        type='FasterRCNN',
        rpn_head=dict(type='RPNHead'),
        roi_head=dict(type='StandardRoIHead'),
        train_cfg=dict(rcnn=dict(sampler=dict(type='RandomSamplerWithIgnore', num=3, neg_pos_upb=3))),
    )
    with pytest.raises(ConfigError, match="^model.train_cfg.rcnn.sampler: .*'neg_pos_upb'; did you mean 'neg_pos_ub'"):
        check_model_settings(model)
    combined = dict(type='CombinedSampler', num=3, pos_fraction=0.5, neg_sampler=dict(type='RandomSampler', nu=3))
    model['train_cfg'] = dict(rcnn=dict(sampler=combined))
    with pytest.raises(ConfigError, match='sampler.neg_sampler'):
        check_model_settings(model)
