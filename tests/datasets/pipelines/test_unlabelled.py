import json

import cv2
import numpy as np
import pytest
import torch

from mmdet.core.directives import ignores_negatives, loss_weight
from mmdet.datasets.audit.audit import audit_dataset
from mmdet.datasets.builder import build_dataloader, build_dataset
from mmdet.datasets.pipelines.compose import Compose

STEPS = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'], meta_keys=('filename', 'img_shape')),
]


def data_set(folder, content, mark=True, **kwargs):
    cv2.imwrite(str(folder / 'a.png'), np.zeros((40, 64, 3), np.uint8))
    images = [dict(id=1, file_name='a.png', width=64, height=40)]
    (folder / 'ann.json').write_text(json.dumps(dict(images=images, **content)))
    end = [dict(type='MarkUnlabelled', domain=1)] if mark else []
    return build_dataset(
        dict(
            type='CocoDataset',
            classes=('red', 'green'),
            ann_file=str(folder / 'ann.json'),
            img_prefix=str(folder),
            filter_empty_gt=False,
            pipeline=STEPS + end,
            **kwargs,
        )
    )


CATEGORIES = [dict(id=1, name='red'), dict(id=2, name='green')]
BOX = dict(id=1, image_id=1, category_id=2, bbox=[1, 2, 30, 20], area=600, iscrowd=0)


@pytest.mark.parametrize('content', [dict(categories=CATEGORIES), dict(categories=CATEGORIES, annotations=[])])
def test_file_without_annotations_is_loaded_and_audited(tmp_path, content):
    dataset = data_set(tmp_path, content)
    report = audit_dataset(dataset, num_classes=2, logger='silent')
    assert report.parts[0].images == 1 and report.parts[0].boxes == 0
    assert 'negatives' in report.parts[0].directives and '0' in report.parts[0].directives
    loader = build_dataloader(dataset, 1, 0, shuffle=False, dist=False)
    batch = next(iter(loader))
    meta = batch['img_metas'].data[0][0]
    assert (meta['domain'], ignores_negatives(meta), loss_weight(meta, ['rpn_head'])) == (1, True, 0.0)
    assert loss_weight(meta, ['bbox_head', 'roi_head']) == 0.0
    assert batch['gt_bboxes'].data[0][0].shape == (0, 4) and batch['gt_labels'].data[0][0].shape == (0,)


def test_annotations_that_are_there_do_not_get_through(tmp_path):
    content = dict(categories=CATEGORIES, annotations=[BOX])
    assert len(data_set(tmp_path, content, mark=False)[0]['gt_bboxes'].data) == 1
    marked = data_set(tmp_path, content)[0]
    assert marked['gt_bboxes'].data.shape == (0, 4) and marked['gt_labels'].data.dtype == torch.int64
    assert marked['img'].stack and not marked['gt_bboxes'].stack


def test_masks_are_emptied_as_well(tmp_path):
    content = dict(categories=CATEGORIES, annotations=[dict(BOX, segmentation=[[1, 2, 31, 2, 31, 22]])])
    dataset = data_set(tmp_path, content)
    steps = [dict(step) for step in STEPS] + [dict(type='MarkUnlabelled')]
    steps[1]['with_mask'] = True
    steps[4]['keys'] = ['img', 'gt_masks']
    dataset.pipeline = Compose(steps)
    data = dataset[0]
    assert len(data['gt_masks'].data) == 0 and data['gt_masks'].cpu_only
    assert data['gt_masks'].data.height == 64
    assert 'domain' not in data['img_metas'].data


def test_place_before_collect_is_refused(tmp_path):
    with pytest.raises(ValueError, match='after Collect'):
        Compose([STEPS[0], dict(type='MarkUnlabelled')])
