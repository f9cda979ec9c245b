"""A drawn data set of 8 images and the config of a detector that trains on it in a second."""

import json
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ('red', 'green')
COLOURS = ((40, 40, 220), (40, 220, 40))
SIDE = 64  # px

CONFIG = """
_base_ = ['{root}/configs/_base_/models/faster_rcnn_r50_fpn.py', '{root}/configs/_base_/default_runtime.py']
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(type='RPNHeadWithWeightPerImage', in_channels=16, feat_channels=16,
                  anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(type='Shared2FCBBoxHeadWithWeightPerImage', in_channels=16, fc_out_channels=32,
                       num_classes=2)),
    train_cfg=dict(
        rpn=dict(sampler=dict(type='RandomSamplerWithIgnore')),
        rpn_proposal=dict(nms_pre=100, max_per_img=50),
        rcnn=dict(sampler=dict(type='RandomSamplerWithIgnore', num=32))),
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
source = dict(type='CocoDataset', classes={classes}, ann_file='{data}/ann.json', img_prefix='{data}/img/')
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=0,
    train=dict(pipeline=train_pipeline, filter_empty_gt=False, **source),
    val=dict(pipeline=test_pipeline, **source),
    test=dict(pipeline=test_pipeline, **source))
evaluation = dict(interval=1, metric='bbox', save_best='bbox_mAP')
optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(grad_clip=dict(max_norm=10))
lr_config = dict(policy='step', warmup='linear', warmup_iters=4, warmup_ratio=0.1, step=[2])
runner = dict(type='EpochBasedRunner', max_epochs=2)
checkpoint_config = dict(interval=1)
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook'), dict(type='TensorboardLoggerHook')])
"""


def draw_data(folder: Path, count: int = 8) -> None:
    """Images with one coloured square each, the last two without, and their COCO file."""
    rng = np.random.default_rng(0)
    (folder / 'img').mkdir(parents=True)
    images, annotations = [], []
    for i in range(count):
        image = rng.integers(0, 80, (SIDE, SIDE, 3), dtype=np.uint8)
        if i < count - 2:
            (x, y), side, label = rng.integers(2, 30, 2).tolist(), int(rng.integers(14, 30)), i % 2
            image[y : y + side, x : x + side] = COLOURS[label]
            box = dict(bbox=[x, y, side, side], area=side * side, category_id=label + 1, iscrowd=0)
            annotations.append(dict(id=i + 1, image_id=i, **box))
        cv2.imwrite(str(folder / f'img/{i}.png'), image)
        images.append(dict(id=i, file_name=f'{i}.png', width=SIDE, height=SIDE))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'ann.json').write_text(json.dumps(content))


def write_config(folder: Path, extra: str = '') -> Path:
    """The config for data in ``folder``, with more lines at its end."""
    path = folder / 'tiny.py'
    path.write_text(CONFIG.format(root=ROOT, data=folder, classes=CLASSES) + extra)
    return path
