"""The look at a config before anything is built."""

import copy
from pathlib import Path

import pytest
from mmcv import Config
from mmcv.runner import HOOKS, Hook

from mmdet.apis.checking.config_check import check_config, check_pipeline
from mmdet.apis.checking.values import HOOK_ARGUMENTS
from mmdet.core.optimizers.builder import build_optimizer, check_optimizer
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from mmdet.utils import compat_cfg
from mmdet.utils.configs.config_error import ConfigTypeError
from mmdet.utils.configs.kinds import argument_hints

ROOT = Path(__file__).resolve().parents[3]
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(8, 8), transforms=[dict(type='Resize'), dict(type='RandomFlip')]),
]
SOURCE = dict(type='CocoDataset', ann_file='none.json', pipeline=PIPELINE)
CONFIG = dict(
    data=dict(train=dict(type='RepeatDataset', times=2, dataset=SOURCE), val=SOURCE, test=SOURCE),
    optimizer=dict(type='SGD', lr=0.1),
    optimizer_config=dict(grad_clip=None),
    lr_config=dict(policy='step', step=[1], warmup='linear', warmup_iters=3),
    momentum_config=dict(policy='cyclic'),
    checkpoint_config=dict(interval=1),
    log_config=dict(interval=5, hooks=[dict(type='TextLoggerHook')]),
    custom_hooks=[dict(type='NumClassCheckHook', priority='LOW')],
    runner=dict(type='EpochBasedRunner', max_epochs=1),
)


def config(**edits):
    cfg = Config(copy.deepcopy(CONFIG))
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in edits.items()})
    return cfg


def test_a_right_config_passes_and_stays_as_it_is():
    cfg = config()
    check_config(cfg)
    assert cfg._cfg_dict == config()._cfg_dict


@pytest.mark.parametrize(
    'edits, text',
    [
        (dict(optimizer__type='Sdg'), r"^optimizer: 'Sdg' is not in the optimizer registry; did you mean 'SGD'"),
        (dict(optimizer__momentun=1), r"^optimizer: SGD .*'momentun'; did you mean 'momentum'"),
        (dict(runner__type='EpochRunner'), r"^runner: 'EpochRunner' is not .* did you mean 'EpochBasedRunner'"),
        (dict(runner__max_epoch=1), r"^runner: EpochBasedRunner .*; did you mean 'max_epochs'"),
        (dict(lr_config__policy='stepp'), r"^lr_config: there is no policy 'stepp'; did you mean 'Step'"),
        (dict(lr_config__policy=None), r"^lr_config: needs 'policy', one of .*CosineAnnealing"),
        (dict(lr_config__warmup_iter=1), r"^lr_config: StepLrUpdaterHook .*; did you mean 'warmup_iters'"),
        (dict(momentum_config__max=1), r"^momentum_config: CyclicMomentumUpdaterHook .* does not take 'max'"),
        (dict(optimizer_config__gradclip=1), r"^optimizer_config: OptimizerHook .*; did you mean 'grad_clip'"),
        (dict(checkpoint_config__type='Saver'), r"^checkpoint_config: 'Saver' is not in the hook registry"),
        (
            dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor='AP')]),
            r'^custom_hooks\[0\].monitor: ',
        ),
        (dict(custom_hooks=[dict(type='EarlyStoppingHook', paticence=3)]), r"^custom_hooks\[0\]: .* 'patience'"),
        (dict(log_config__hooks__0__type='TextLogger'), r"^log_config.hooks\[0\]: .* did you mean 'TextLoggerHook'"),
        (dict(custom_hooks__0__type='NumClassHook'), r"^custom_hooks\[0\]: .* did you mean 'NumClassCheckHook'"),
        (dict(data__val__type='CocoDateset'), r"^data.val: .* dataset registry; did you mean 'CocoDataset'"),
        (dict(data__train__dataset__ann_fil=''), r"^data.train.dataset: CocoDataset .*; did you mean 'ann_file'"),
        (dict(data__train__time=3), r"^data.train: RepeatDataset .*; did you mean 'times'"),
        (dict(data__test__pipeline__0__type='LoadImage'), r"^data.test.pipeline\[0\]: .* 'LoadImageFromFile'"),
        (
            dict(data__val__pipeline__1__transforms__0__img_scal=3),
            r"^data.val.pipeline\[1\].transforms\[0\]: Resize .*; did you mean 'img_scale'",
        ),
    ],
)
def test_mistake_is_reported_with_its_place(edits, text):
    with pytest.raises((KeyError, TypeError), match=text):
        check_config(config(**edits))


COUNTED = [
    ('NumClassCheckHook', {}),
    ('ExpMomentumEMAHook', dict(interval=0)),
    ('ExpMomentumEMAHook', dict(interval=-1)),
    ('ExpMomentumEMAHook', dict(total_iter=0)),
    ('LinearMomentumEMAHook', dict(warm_up=-1)),
    ('EarlyStoppingHook', dict(patience=0)),
    ('EarlyStoppingHook', dict(min_delta=-0.1)),
    ('CheckInvalidLossHook', dict(interval=0)),
    ('MemoryProfilerHook', dict(interval=0)),
    ('FeatureMapHook', dict(num_images=0)),
    ('SyncNormHook', dict(num_last_epochs=-3)),
    ('YOLOXModeSwitchHook', dict(num_last_epochs=-1)),
    ('EmbeddingProjectionHook', dict(score_thr=3)),
]


@pytest.mark.parametrize(('name', 'arguments'), COUNTED)
def test_arguments_of_hooks_have_ranges(name, arguments):
    hooks = [dict(type='TextLoggerHook')], [dict(type=name, **arguments)]
    if not arguments:
        check_config(config(custom_hooks=hooks[1]))
        return
    (key,) = arguments
    with pytest.raises(ConfigTypeError, match=rf'^custom_hooks\[0\].*{key}: expected a (whole )?number from [01]'):
        check_config(config(custom_hooks=hooks[1]))


def test_every_whole_number_of_a_hook_has_a_range():
    missing = []
    for name, cls in HOOKS.module_dict.items():
        if cls.__module__.startswith(('mmdet.', 'mmcv.')):
            hints = argument_hints(cls)
            missing += [(name, key) for key, hint in hints.items() if hint is int and key not in HOOK_ARGUMENTS]
    assert not missing


def test_list_of_annotation_files_may_have_separate_eval():
    check_config(config(data__val=dict(SOURCE, ann_file=['a', 'b'], separate_eval=False)))


def test_old_keys_are_understood_through_compat_cfg():
    cfg = config()
    cfg.pop('runner')
    cfg.total_epochs = 3
    check_config(compat_cfg(cfg))


def test_hook_of_the_user_may_read_any_argument():
    @HOOKS.register_module(name='AnythingHook')
    class AnythingHook(Hook):
        def __init__(self, **kwargs):
            super().__init__()

    try:
        check_config(config(custom_hooks=[dict(type='AnythingHook', what='ever', priority=3)]))
    finally:
        HOOKS.module_dict.pop('AnythingHook')


def test_policies_of_autoaugment_are_checked_and_those_of_albu_left_to_it():
    check_pipeline([dict(type='Albu', transforms=[dict(type='Blur')])])
    with pytest.raises(KeyError, match="'Rotat' is not .* did you mean 'Rotate'"):
        check_pipeline([dict(type='AutoAugment', policies=[[dict(type='Rotat', level=1)]])])


def test_optimizer_of_a_constructor_from_elsewhere_is_not_checked():
    from mmdet.core.optimizers.builder import OPTIMIZER_BUILDERS

    OPTIMIZER_BUILDERS.register_module(name='Pairs', module=type('Pairs', (), {}))
    try:
        check_optimizer(dict(first=dict(type='SGD'), constructor='Pairs'))
    finally:
        OPTIMIZER_BUILDERS.module_dict.pop('Pairs')


def test_building_an_optimizer_tells_the_same():
    with pytest.raises(TypeError, match="^optimizer: AdamW .* does not take 'momentum'"):
        build_optimizer(None, dict(type='AdamW', momentum=1))


@pytest.mark.parametrize(
    'edits, text',
    [
        ({'roi_head.bbox_head.type': 'BoxHead'}, r"^model.roi_head.bbox_head: .*; did you mean 'BBoxHead'"),
        ({'roi_head.bbox_head.loss_cls.type': 'CrossEntropy'}, r'^model.roi_head.bbox_head.loss_cls: .*Loss'),
        ({'train_cfg.rcnn.assigner.pos_thr': 1}, r'^model.train_cfg.rcnn.assigner: MaxIoUAssigner .*pos_iou_thr'),
        ({'train_cfg.rpn.sampler.type': 'Random'}, r"^model.train_cfg.rpn.sampler: 'Random' is not in the bbox_sampl"),
        ({'rpn_head.anchor_generator.stride': 1}, r"^model.rpn_head.anchor_generator: .*; did you mean 'strides'"),
        ({'neck.num_outs': None, 'neck.type': 'FPNN'}, r"^model.neck: .*; did you mean 'FPN'"),
        ({'neck.num_out': 5}, r"^model.neck: FPN .*; did you mean 'num_outs'"),
    ],
)
def test_mistake_in_a_model_is_told_with_its_place(edits, text):
    cfg = Config.fromfile(str(ROOT / 'configs/_base_/models/faster_rcnn_r50_fpn.py'))
    cfg.model.backbone.update(depth=18, base_channels=8, init_cfg=None)
    cfg.merge_from_dict({f'model.{key}': value for key, value in edits.items()})
    with pytest.raises((KeyError, TypeError), match=text):
        build_detector(cfg.model)


def test_mistake_in_a_wrapped_data_set_is_told_with_its_place(tmp_path):
    (tmp_path / 'none.json').write_text('{"images": [], "annotations": [], "categories": []}')
    source = dict(SOURCE, ann_file=str(tmp_path / 'none.json'), pipeline=[PIPELINE[0], dict(type='Padd')])
    with pytest.raises(KeyError, match=r"^datasets\[0\].dataset.pipeline\[1\]: 'Padd' is not in the pipeline registry"):
        build_dataset(dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=2, dataset=source)]))


def test_wrapper_without_data_set_is_told_so():
    with pytest.raises(TypeError, match="^ConcatDataset .* needs 'datasets'"):
        build_dataset(dict(type='ConcatDataset'))
