"""A step of training on images of federated data sets: no evidence against a class that nobody looked for."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmcv import Config
from mmcv.parallel import DataContainer
from tiny import ROOT

from mmdet.core.directives import LABELED_CLASSES
from mmdet.datasets.builder import build_dataloader, build_dataset
from mmdet.models import build_detector

CAT, DOG, COW = range(3)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(64, 64)),
    dict(type='Normalize', mean=[100.0] * 3, std=[50.0] * 3),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'], meta_keys=('img_shape', 'pad_shape', 'scale_factor')),
    dict(type='AddFieldToImgMetas', from_img_info=[LABELED_CLASSES]),
]


def write_lvis(folder):
    """A cat, no dog; nobody looked for cows."""
    image = dict(id=1, file_name='x.jpg', width=64, height=64)
    image |= dict(neg_category_ids=[20], not_exhaustive_category_ids=[])
    box = dict(id=1, image_id=1, category_id=10, bbox=[8, 8, 40, 40], area=1600, iscrowd=0)
    categories = [dict(id=i, name=name) for i, name in ((10, 'cat'), (20, 'dog'), (30, 'cow'))]
    content = dict(images=[image], annotations=[box], categories=categories)
    (folder / 'ann.json').write_text(json.dumps(content))
    return dict(type='LVISV1Dataset', classes=('cat', 'dog', 'cow'), ann_file='ann.json')


def write_open_images(folder):
    """The same."""
    (folder / 'classes.csv').write_text('/m/c,cat\n/m/d,dog\n/m/w,cow\n')
    head = 'ImageID,LabelName,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n'
    (folder / 'boxes.csv').write_text(head + 'x,/m/c,0.125,0.75,0.125,0.75,0,0,0,0,0\n')
    (folder / 'labels.csv').write_text('ImageID,LabelName,Confidence\nx,/m/c,1\nx,/m/d,0\n')
    files = dict(ann_file='boxes.csv', label_file='classes.csv', image_level_ann_file='labels.csv')
    return dict(type='OpenImagesDataset', get_supercategory=False, **files)


def tiny_retinanet():
    cfg = Config.fromfile(str(ROOT / 'configs/_base_/models/retinanet_r50_fpn.py')).model
    cfg.backbone.update(depth=18, base_channels=8, stem_channels=8, frozen_stages=-1, init_cfg=None)
    cfg.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    cfg.bbox_head.update(num_classes=3, in_channels=16, feat_channels=16, stacked_convs=1)
    cfg.directives = dict(weights=True)
    torch.manual_seed(0)
    return build_detector(cfg)


def gradients(model, batch, **fields):
    """(3,) size of the gradient of each class's layer, with other fields in the images' meta information."""
    metas = [{**meta, **fields} for meta in batch['img_metas'].data[0]]
    for meta in metas:
        if LABELED_CLASSES in fields and fields[LABELED_CLASSES] is None:
            del meta[LABELED_CLASSES]
    model.zero_grad()
    parts = {key: value.data[0] for key, value in batch.items() if isinstance(value, DataContainer)}
    model.train_step(dict(parts, img_metas=metas), None)['loss'].backward()
    return model.bbox_head.retina_cls.weight.grad.unflatten(0, (-1, 3)).abs().sum((0, 2, 3, 4))


@pytest.mark.parametrize('write', [write_lvis, write_open_images])
def test_class_that_nobody_looked_for_gets_no_negative_evidence(write, tmp_path):
    cv2.imwrite(str(tmp_path / 'x.jpg'), np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    pipeline = [*PIPELINE]
    if write is write_open_images:
        pipeline[1] = dict(pipeline[1], denorm_bbox=True)
    cfg = dict(write(tmp_path), pipeline=pipeline, data_root=str(tmp_path), img_prefix='', verified_classes=True)
    (batch,) = build_dataloader(build_dataset(cfg), 1, 0, dist=False, shuffle=False)
    assert [meta[LABELED_CLASSES] for meta in batch['img_metas'].data[0]] == [[CAT, DOG]]
    model = tiny_retinanet()
    by_list = gradients(model, batch)
    all_classes = gradients(model, batch, **{LABELED_CLASSES: None})
    no_negatives = gradients(model, batch, negatives='none', **{LABELED_CLASSES: None})
    # what is left for the cow comes from the positives, which are cats
    torch.testing.assert_close(by_list[COW], no_negatives[COW])
    assert all_classes[COW] > 2 * by_list[COW]
    torch.testing.assert_close(by_list[[CAT, DOG]], all_classes[[CAT, DOG]])
    assert by_list[DOG] > 2 * no_negatives[DOG]
