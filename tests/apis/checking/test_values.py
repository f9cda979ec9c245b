"""Kinds and ranges of the values of settings."""

import contextlib
import copy

import pytest
import torch
from mmcv import Config

from mmdet.apis.checking.values import check_values
from mmdet.models.builder import BACKBONES
from mmdet.utils.configs.config_error import ConfigError

CONFIG = dict(
    model=dict(
        type='FasterRCNN',
        roi_head=dict(
            type='StandardRoIHead',
            in_channels=[8, [16]],
            loss_cls=dict(gamma=0),
            bbox_head=dict(loss_cls=dict(loss_weight=1.0)),
        ),
        train_cfg=dict(
            rcnn=dict(
                assigner=dict(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5),
                sampler=dict(num=512, pos_fraction=0.25),
            ),
            rpn_proposal=dict(nms_pre=2000, nms=dict(type='nms', iou_threshold=0.7)),
        ),
        test_cfg=dict(rcnn=[dict(score_thr=0.05, nms=dict(iou_thr=0.5), max_per_img=100)]),
    ),
    data=dict(train_dataloader=dict(samples_per_gpu=2, workers_per_gpu=0, persistent_workers=False), samples_per_gpu=2),
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0),
    optimizer_config=dict(grad_clip=dict(max_norm=35)),
    lr_config=dict(policy='step', step=[8, 11], gamma=0.1, warmup_iters=500, warmup_ratio=0.001),
    runner=dict(type='EpochBasedRunner', max_epochs=12),
    evaluation=dict(interval=1, start=None),
    checkpoint_config=dict(interval=-1, max_keep_ckpts=3),
    log_config=dict(interval=50, hooks=[dict(type='TextLoggerHook', interval=10)]),
    log_level='INFO',
    seed=None,
    load_from=None,
    min_loaded_fraction=0.5,
    fp16=None,
    custom_hooks=[dict(type='NumClassCheckHook', priority='LOW')],
)


@contextlib.contextmanager
def own_backbone():
    """A backbone of a user's own, registered as ``OwnBackbone``."""
    BACKBONES.register_module(name='OwnBackbone', module=type('OwnBackbone', (torch.nn.Module,), {}))
    try:
        yield
    finally:
        del BACKBONES.module_dict['OwnBackbone']


def test_right_values_pass():
    check_values(Config(copy.deepcopy(CONFIG)))
    for step in (3, [1], (2, 5)):
        check_values(Config(dict(copy.deepcopy(CONFIG), lr_config=dict(step=step))))


def test_parts_of_the_users_own_may_mean_something_else_by_a_name():
    own = dict(extra_channels=0, alpha=-1.0, inner=dict(num_points=0, loss=dict(type='GIoULoss', beta=0.1)))
    cfg = Config(copy.deepcopy(CONFIG))
    with own_backbone():
        cfg.model.backbone = dict(type='OwnBackbone', **own)
        check_values(cfg)
        cfg.model.backbone['inner']['loss']['beta'] = -0.1
        with pytest.raises(ConfigError, match='^model.backbone.inner.loss.beta: expected a number from 0 on'):
            check_values(cfg)
    cfg.model.backbone = dict(type='ResNet', **own)
    with pytest.raises(ConfigError, match='^model.backbone.extra_channels: expected a whole number from 1 on, got 0'):
        check_values(cfg)


@pytest.mark.parametrize(
    ('key', 'values', 'text'),
    [
        (
            'data.train_dataloader.samples_per_gpu',
            ['2', 0, 2.0, True],
            r'whole number from 1 on, .* \(data.samples_per_gpu',
        ),
        ('data.samples_per_gpu', ['2'], "whole number from 1 on, got '2'$"),
        ('data.train_dataloader.workers_per_gpu', [-1, '0'], 'whole number from 0 on'),
        ('data.train_dataloader.persistent_workers', ['no', 1], 'True or False'),
        ('optimizer.lr', ['0.02', 0, -0.1, float('nan'), float('inf')], 'number above 0'),
        ('optimizer.momentum', [2, 1, '0.9'], 'number from 0 to below 1'),
        ('optimizer_config.grad_clip', [5], 'a dict'),
        ('optimizer_config.grad_clip.max_norm', ['10', -1, 0], 'number above 0'),
        ('lr_config.step', [[8, 3], '3', [1.5], [-1], 0, [3, 3]], 'ascending order'),
        ('lr_config.gamma', ['0.1', 0], 'number above 0'),
        ('lr_config.warmup_ratio', [2, 0], 'number above 0 and up to 1'),
        ('runner.max_epochs', [0, -1, '2', 1.5], 'whole number from 1 on'),
        ('runner.max_epochs', [None], "EpochBasedRunner needs 'max_epochs'"),
        ('evaluation.interval', [0, '1'], 'whole number from 1 on'),
        ('checkpoint_config.interval', [0, -2], r'from 1 on \(or -1: never\)'),
        ('log_config.hooks', [dict(type='TextLoggerHook')], 'a list of dicts'),
        ('log_config.hooks.0.interval', [0], r'^log_config.hooks\[0\].interval: expected a whole number'),
        ('log_level', ['INF0'], 'one of DEBUG, INFO'),
        ('seed', ['abc', -1, 2**32], 'whole number from 0 to'),
        ('load_from', [3], 'a text'),
        ('min_loaded_fraction', ['half', 2], 'number from 0 to 1'),
        ('fp16', [True], 'a dict'),
        ('custom_imports', ['module'], 'a dict'),
        ('custom_hooks', ['NumClassCheckHook'], 'a list of dicts'),
        ('custom_hooks.0.priority', ['HIGHH', 101], 'from 0 to 100, or one of HIGHEST'),
        ('runner.type', ['IterBasedRunner'], "IterBasedRunner needs 'max_iters'"),
        ('model.train_cfg', [None, dict(rpn=dict())], "^model.train_cfg: needs '(rpn|rcnn)', the settings of the"),
        ('model.train_cfg.rcnn.sampler.num', [0, '32'], 'a whole number from 1 on'),
        ('model.train_cfg.rcnn.sampler.pos_fraction', [2], 'a number from 0 to 1'),
        ('model.roi_head.bbox_head.loss_cls.loss_weight', [-1, '1', float('nan')], r'loss_weight: .* number from 0 on'),
        ('model.roi_head.bbox_head.loss_cls.class_weight', [-1, [1.0, -0.1]], r'class_weight.*: .* number from 0 on'),
        (
            'model.train_cfg.rcnn.assigner.neg_iou_thr',
            [0.7, (0.3, 0.1), (0.1, 0.6), (0.1, 0.2, 0.3), -0.1, '0.3'],
            r'^model.train_cfg.rcnn.assigner.neg_iou_thr: expected a number from 0',
        ),
        ('model.train_cfg.rcnn.assigner.min_pos_iou', [-1, 2, '0.3'], r'min_pos_iou: expected a number from 0 to 1'),
        ('model.roi_head', [[], ()], "model.roi_head: expected a dict with 'type', got"),
        (
            'model.test_cfg.rcnn.0.local_maximum_kernel',
            [4, 0, '3'],
            'local_maximum_kernel: expected an odd whole number',
        ),
        ('model.test_cfg.rcnn.0.score_thr', [[0.5]], 'score_thr: expected a number, got'),
        (
            'model.roi_head.bbox_head.fc_out_channels',
            [0, -1, '8', 2.5],
            'fc_out_channels: expected a whole number from 1',
        ),
        (
            'model.roi_head.in_channels',
            [[8, 0], [[8], ['16']]],
            r'in_channels\[1\].*: expected a whole number from 1 on',
        ),
        ('model.roi_head.num_classes', [0, -1], 'num_classes: expected a whole number from 1 on'),
        ('model.roi_head.loss_cls.gamma', [-1], 'gamma: expected a number from 0 on'),
        ('model.roi_head.widen_factor', [0, -0.5], 'widen_factor: expected a number above 0'),
        ('model.roi_head.start_level', [-1, 'x'], 'start_level: expected a whole number from 0 on'),
        ('model.roi_head.num_groups', [0, '32'], 'num_groups: expected a whole number from 1 on'),
        ('model.roi_head.target_stds', [[0.1, -1], [0]], r'target_stds\[.\]: expected a number above 0'),
        ('model.roi_head.push_weight', [-1], 'push_weight: expected a number from 0 on'),
        ('model.train_cfg.rcnn.alpha', [[1], -1], 'alpha: expected a number from 0 on'),
        ('model.train_cfg.initial_epoch', [-1, 'x', [4]], 'initial_epoch: expected a whole number from 0 on'),
        ('model.train_cfg.debug', ['yes'], 'debug: expected True or False'),
        ('model.test_cfg.rcnn.0.local_maximum_kernel', [-1, 2], 'an odd whole number'),
        ('device', ['gpu', 'cuda:0', 3], "device: expected 'cuda' or 'cpu', got "),
        ('model.test_cfg.rcnn.0.kernel', ['gaus', 2], "kernel: expected 'gaussian' or 'linear'"),
        ('model.test_cfg.rcnn.0.topk', [0, -5, '100'], 'topk: expected a whole number from 1 on'),
        ('model.test_cfg.rcnn.0.sigma', [0, '2'], 'sigma: expected a number above 0'),
        ('model.test_cfg.rcnn.0.mask_overlap', ['half', 2], 'mask_overlap: expected a number from 0 to 1'),
        ('model.random_size_range', [(30, 20), 10, ('10', '20')], 'two whole numbers in ascending order'),
        ('model.random_size_interval', [0], 'a whole number from 1 on'),
        ('model.roi_head.num_queries', [0, '100'], r'^model.roi_head.num_queries: expected a whole number from 1 on'),
        ('model.train_cfg.rpn_proposal.nms_pre', ['100', 0], r'^model.train_cfg.rpn_proposal.nms_pre: .*from 1 on'),
        ('model.test_cfg.rcnn.0.score_thr', ['0.5'], r'^model.test_cfg.rcnn\[0\].score_thr: expected a number'),
        ('model.test_cfg.rcnn.0.nms.iou_thr', ['0.5', 1.5], r'rcnn\[0\].nms.iou_thr: expected a number from 0 to 1'),
    ],
)
def test_wrong_value_is_reported_with_its_place(key, values, text):
    for value in values:
        cfg = copy.deepcopy(CONFIG)
        *path, last = [int(part) if part.isdigit() else part for part in key.split('.')]
        node = cfg
        for part in path:
            node = node[part]
        node[last] = value
        with pytest.raises(ConfigError, match=text):
            check_values(Config(cfg))
