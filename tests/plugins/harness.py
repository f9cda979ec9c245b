"""What a plugin's test does: train two steps and evaluate, then resume from the checkpoint and train two more."""

import json
from pathlib import Path

import torch
from mmcv import Config
from mmcv.runner import load_checkpoint
from tiny import CLASSES, draw_data

from mmdet.apis import set_random_seed, train_detector
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from mmdet.utils import replace_cfg_vals
from mmdet.utils.configs.custom_imports import import_custom_modules

ROOT = Path(__file__).resolve().parents[2]

# a Faster R-CNN that trains in a second, without anything of this package's own
BASE = """
_base_ = ['{root}/configs/_base_/models/faster_rcnn_r50_fpn.py', '{root}/configs/_base_/default_runtime.py']
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32, num_classes=2)),
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50), rcnn=dict(sampler=dict(num=32))),
    test_cfg=dict(rpn=dict(nms_pre=100, max_per_img=50), rcnn=dict(score_thr=0.0, max_per_img=20)))
norm = dict(mean=[100.0, 100.0, 100.0], std=[50.0, 50.0, 50.0], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(64, 64), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **norm),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(64, 64), flip=False, transforms=[
        dict(type='Resize', keep_ratio=True),
        dict(type='RandomFlip'),
        dict(type='Normalize', **norm),
        dict(type='Pad', size_divisor=32),
        dict(type='ImageToTensor', keys=['img']),
        dict(type='Collect', keys=['img'])])]
data_root = '{data}/'
source = dict(type='CocoDataset', classes={classes}, ann_file='{data}/ann.json', img_prefix='{data}/img/')
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=0,
    train=dict(pipeline=train_pipeline, filter_empty_gt=False, **source),
    val=dict(pipeline=test_pipeline, test_mode=True, **source),
    test=dict(pipeline=test_pipeline, test_mode=True, **source))
evaluation = dict(interval=1, metric='bbox')
optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(grad_clip=dict(max_norm=10))
lr_config = dict(policy='step', step=[8])
runner = dict(type='EpochBasedRunner', max_epochs=1)
checkpoint_config = dict(interval=1)
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
seed = 1
device = 'cpu'
gpu_ids = [0]
"""


def read_config(folder: Path, text: str) -> Config:
    """The base with a plugin's own lines, read from files as a user's config is."""
    if not (folder / 'ann.json').exists():
        draw_data(folder)
    (folder / 'base.py').write_text(BASE.format(root=ROOT, data=folder, classes=CLASSES))
    path = folder / 'plugin.py'
    path.write_text("_base_ = 'base.py'\n" + text)
    cfg = replace_cfg_vals(Config.fromfile(str(path)))
    import_custom_modules(cfg)  # what `plugin=True` asks for; mmcv knows custom_imports alone
    return cfg


def train(cfg: Config, work_dir: Path, max_epochs: int, resume_from: Path | None = None):
    """Train as the command line does; gives the model and the entries of the JSON log."""
    cfg.merge_from_dict({'work_dir': str(work_dir), 'runner.max_epochs': max_epochs})
    cfg.resume_from = resume_from and str(resume_from)
    set_random_seed(cfg.seed)
    model = build_detector(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
    model.init_weights()
    datasets = [build_dataset(cfg.data.train)]
    name = f'until_{max_epochs}'
    train_detector(model, datasets, cfg, validate=True, timestamp=name, meta=dict(seed=cfg.seed))
    lines = (work_dir / f'{name}.log.json').read_text().splitlines()
    return model, [json.loads(line) for line in lines][1:]


def train_and_resume(folder: Path, text: str):
    """Two steps with an evaluation, and two more in a resumed run; checks what every plugin must do.

    Returns:
        the model of the resumed run, the entries of both logs, and the config.
    """
    cfg, work_dir = read_config(folder, text), folder / 'work'
    first, before = train(cfg, work_dir, 1)
    checkpoint = work_dir / 'epoch_1.pth'
    weights = {name: value.clone() for name, value in first.state_dict().items()}
    model, after = train(cfg, work_dir, 2, checkpoint)
    for entries, epoch in ((before, 1), (after, 2)):
        steps = [entry for entry in entries if entry['mode'] == 'train']
        assert [entry['epoch'] for entry in steps] == [epoch, epoch], entries
        assert all(torch.isfinite(torch.tensor(entry['loss'])) for entry in steps)
        assert [entry['epoch'] for entry in entries if entry['mode'] == 'val'] == [epoch]
    fresh = build_detector(cfg.model)
    load_checkpoint(fresh, str(checkpoint), strict=True)
    assert all(torch.equal(value, weights[name]) for name, value in fresh.state_dict().items())
    assert any(not torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    return model, before + after, cfg
