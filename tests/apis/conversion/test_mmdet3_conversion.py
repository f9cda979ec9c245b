"""Checkpoints and configs of mmdetection 3.x."""

import copy
from pathlib import Path

import pytest
import torch
from mmcv import Config

from mmdet.apis.conversion import ConversionError, classes_of_mmdet3, config_of_mmdet3, weights_of_mmdet3
from mmdet.apis.conversion.mmdet3_pipeline import convert_step
from mmdet.apis.conversion.mmdet3_schedule import convert_optimizer, convert_scheduler
from mmdet.models import build_detector

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = Path(__file__).with_name('mmdet3_example.py')


@pytest.fixture(scope='module')
def theirs():
    return Config.fromfile(str(EXAMPLE))._cfg_dict.to_dict()


def test_config_becomes_that_of_the_tree(theirs):
    ours = Config.fromfile(str(ROOT / 'configs/faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py'))._cfg_dict.to_dict()
    got = config_of_mmdet3(theirs)
    for key in ('model', 'optimizer', 'optimizer_config', 'runner'):
        assert got[key] == ours[key], key
    assert got['data']['train']['pipeline'] == ours['data']['train']['pipeline']
    assert got['data']['test']['pipeline'] == ours['data']['test']['pipeline']
    train = got['data']['train']
    assert train['data_root'] + train['ann_file'] == ours['data']['train']['ann_file']
    assert train['data_root'] + train['img_prefix'] == ours['data']['train']['img_prefix']
    assert got['data']['samples_per_gpu'] == 2 and train['filter_empty_gt'] is True
    assert got['lr_config'] == dict(ours['lr_config'], gamma=0.1, by_epoch=True, warmup_by_epoch=False)
    assert got['evaluation'] == dict(interval=1, metric='bbox', save_best='bbox_mAP')
    assert got['log_config']['interval'] == 50


@pytest.mark.parametrize(
    ('path', 'value', 'text'),
    [
        ('custom_hooks', [dict(type='EMAHook')], 'the keys custom_hooks are not known'),
        ('model.data_preprocessor.batch_augments', [dict(type='BatchFixedSizePad')], 'batch_augments'),
        ('train_dataloader.dataset.type', 'CrowdHumanDataset', 'the data set CrowdHumanDataset is not converted'),
        ('train_dataloader.dataset.indices', 10, 'CocoDataset: indices have no counterpart'),
        ('train_cfg.type', 'GANLoop', 'the loop GANLoop is not converted'),
        ('optim_wrapper.accumulative_counts', 4, 'accumulative_counts have no counterpart'),
        ('param_scheduler', [dict(type='OneCycleLR')], 'got OneCycleLR'),
    ],
)
def test_what_has_no_counterpart_is_named(theirs, path, value, text):
    changed = copy.deepcopy(theirs)
    *parents, last = path.split('.')
    node = changed
    for key in parents:
        node = node[key]
    node[last] = value
    with pytest.raises(ConversionError, match=text):
        config_of_mmdet3(changed)


@pytest.mark.parametrize(
    ('step', 'expected'),
    [
        (dict(type='Resize', scale=[8, 6]), dict(type='Resize', img_scale=(8, 6), keep_ratio=False)),
        (
            dict(type='RandomChoiceResize', scales=[[8, 6], [9, 7]], keep_ratio=True),
            dict(type='Resize', img_scale=[(8, 6), (9, 7)], keep_ratio=True, multiscale_mode='value'),
        ),
        (
            dict(type='RandomResize', scale=(8, 6), ratio_range=(0.1, 2.0), keep_ratio=True),
            dict(type='Resize', img_scale=(8, 6), ratio_range=(0.1, 2.0), keep_ratio=True, multiscale_mode='range'),
        ),
        (dict(type='Expand', ratio_range=(1, 2)), dict(type='Expand', ratio_range=(1, 2))),
    ],
)
def test_steps_have_their_names_of_2x(step, expected):
    assert convert_step(step) == expected


def test_steps_of_3x_alone_are_named():
    with pytest.raises(ConversionError, match='the pipeline step CachedMosaic is not converted; known are LoadImage'):
        convert_step(dict(type='CachedMosaic'))
    with pytest.raises(ConversionError, match='RandomFlip: swap_seg_labels have no counterpart'):
        convert_step(dict(type='RandomFlip', prob=0.5, swap_seg_labels=[1]))


def test_mixed_precision_and_groups_of_parameters():
    got = convert_optimizer(
        dict(
            type='AmpOptimWrapper',
            optimizer=dict(type='AdamW', lr=1e-4),
            paramwise_cfg=dict(norm_decay_mult=0.0),
            clip_grad=dict(max_norm=1),
            loss_scale=512.0,
        )
    )
    assert got == dict(
        optimizer=dict(type='AdamW', lr=1e-4, paramwise_cfg=dict(norm_decay_mult=0.0)),
        optimizer_config=dict(grad_clip=dict(max_norm=1)),
        fp16=dict(loss_scale=512.0),
    )


def test_schedules_other_than_steps():
    assert convert_scheduler([], by_epoch=True) == dict(policy='fixed')
    assert convert_scheduler(dict(type='CosineAnnealingLR', eta_min=0.1, by_epoch=False), by_epoch=False) == dict(
        policy='CosineAnnealing', min_lr=0.1, by_epoch=False
    )
    with pytest.raises(ConversionError, match='MultiStepLR counts in other units than the run'):
        convert_scheduler([dict(type='MultiStepLR', milestones=[1], by_epoch=False)], by_epoch=True)


@pytest.fixture(scope='module')
def model():
    cfg = dict(
        type='RetinaNet',
        backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
        neck=dict(type='FPN', in_channels=[4, 8, 16, 32], out_channels=4, num_outs=5),
        bbox_head=dict(type='RetinaHead', num_classes=3, in_channels=4, feat_channels=4, stacked_convs=1),
        train_cfg=None,
        test_cfg=dict(nms=dict(type='nms', iou_threshold=0.5)),
    )
    return build_detector(cfg)


def checkpoint(model):
    weights = {name: torch.rand_like(value.float()).to(value.dtype) for name, value in model.state_dict().items()}
    weights['data_preprocessor.mean'] = torch.zeros(3, 1, 1)
    return dict(state_dict=weights, meta=dict(dataset_meta=dict(classes=['a', 'b', 'c']), epoch=12))


def test_weights_fit_where_names_and_shapes_agree(model):
    content = checkpoint(model)
    got = weights_of_mmdet3(content, model.state_dict())
    assert set(got) == set(model.state_dict())
    assert torch.equal(got['bbox_head.retina_cls.weight'], content['state_dict']['bbox_head.retina_cls.weight'])
    assert classes_of_mmdet3(content) == ('a', 'b', 'c')
    assert classes_of_mmdet3({}) is None


def test_weights_that_do_not_fit_are_listed(model):
    content = checkpoint(model)
    weights = content['state_dict']
    weights['encoder.layers.0.norms.0.weight'] = torch.zeros(1)
    weights['bbox_head.retina_cls.bias'] = torch.zeros(5)
    del weights['neck.fpn_convs.0.conv.weight']
    with pytest.raises(ConversionError) as error:
        weights_of_mmdet3(content, model.state_dict())
    assert '1 entries are not in the file: neck.fpn_convs.0.conv.weight' in str(error.value)
    assert '1 entries of the file are not in the model: encoder.layers.0.norms.0.weight' in str(error.value)
    assert 'bbox_head.retina_cls.bias (5,) instead of (27,)' in str(error.value)
