"""MaskFormer and Mask2Former as whole detectors: a training step, results of panoptic and instance segmentation."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_detectors import TwoConvs

from mmdet.models.builder import build_detector

sys.path.append(str(Path(__file__).resolve().parents[1] / 'dense_heads'))
from zoo_cases_zoo3 import CASES, masks_of  # noqa: E402

KINDS = pytest.mark.parametrize('kind', ['MaskFormer', 'Mask2Former'])
BOXES = [torch.tensor([[3.0, 2, 20, 21]]), torch.zeros(0, 4)]
LABELS = [torch.tensor([1]), torch.zeros(0, dtype=torch.long)]
METAS = [
    dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), ori_shape=(64, 64, 3), filename='a.jpg'),
    dict(img_shape=(24, 20, 3), pad_shape=(32, 32, 3), ori_shape=(48, 40, 3), filename='b.jpg'),
]


def make(kind, stuff=1, teacher=None, **test_cfg):
    head = copy.deepcopy(CASES[f'{kind}Head'])
    train_cfg = head.pop('train_cfg')
    head.update(num_stuff_classes=stuff, loss_cls=dict(head['loss_cls'], class_weight=[1.0] * (2 + stuff) + [0.1]))
    torch.manual_seed(0)
    return build_detector(
        dict(
            type=kind, backbone=dict(type=TwoConvs.__name__), panoptic_head=dict(head, type=f'{kind}Head'),
            panoptic_fusion_head=dict(type='MaskFormerFusionHead', num_things_classes=2, num_stuff_classes=stuff),
            train_cfg=train_cfg, test_cfg=test_cfg, **({} if teacher is None else dict(teacher=teacher)),
        )
    )  # fmt: skip


def batch():
    torch.manual_seed(1)
    return torch.randn(2, 3, 32, 32), copy.deepcopy(METAS)


@KINDS
def test_training_step_gives_a_finite_loss_with_and_without_stuff(kind):
    img, metas = batch()
    data = dict(img=img, img_metas=metas, gt_bboxes=BOXES, gt_labels=LABELS, gt_masks=list(map(masks_of, BOXES)))
    semantic = torch.full((2, 1, 32, 32), 2)
    for more in ({}, dict(gt_semantic_seg=semantic)):
        outputs = make(kind).train_step({**data, **more}, None)
        outputs['loss'].backward()
        assert outputs['loss'].isfinite() and outputs['num_samples'] == 2
        assert {'loss_cls', 'loss_mask', 'loss_dice', 'd0.loss_cls'} < set(outputs['log_vars'])


@KINDS
def test_panoptic_results_have_the_size_of_each_image(kind):
    model = make(kind, panoptic_on=True, instance_on=True, object_mask_thr=0.0, iou_thr=0.0, max_per_image=4).eval()
    img, metas = batch()
    for rescale, sizes in ((True, [(64, 64), (48, 40)]), (False, [(32, 32), (24, 20)])):
        results = model.forward_test([img], [metas], rescale=rescale)
        assert [result['pan_results'].shape for result in results] == sizes
        for result, size in zip(results, sizes):
            boxes, masks = result['ins_results']
            assert len(boxes) == len(masks) == 2
            assert [len(b) for b in boxes] == [len(m) for m in masks]
            assert all(mask.shape == size for of_class in masks for mask in of_class)
            labels = np.unique(result['pan_results']) % 1000
            assert set(labels.tolist()) <= {0, 1, 2, 3}


@KINDS
def test_image_without_detections_is_void(kind):
    model = make(kind, panoptic_on=True, instance_on=True, object_mask_thr=0.8, max_per_image=4).eval()
    with torch.no_grad():
        model.panoptic_head.cls_embed.weight.zero_()
        model.panoptic_head.cls_embed.bias.copy_(torch.tensor([-20.0, -20, -20, 20]))
        img, metas = batch()
        results = model.forward_test([img], [metas], rescale=True)
    for result in results:
        assert (result['pan_results'] == 3).all()
        assert all((boxes[:, 4] < 1e-6).all() for boxes in result['ins_results'][0])


@KINDS
def test_without_stuff_results_are_instances_alone(kind):
    model = make(kind, stuff=0, panoptic_on=False, instance_on=True, max_per_image=5).eval()
    img, metas = batch()
    results = model.forward_test([img], [metas], rescale=True)
    for boxes, masks in results:
        assert sum(map(len, boxes)) == sum(map(len, masks)) == 5
    picture = model.show_result(np.zeros((64, 64, 3), dtype=np.uint8), results[0], score_thr=0)
    assert picture.shape[2] == 3 and picture.any()


@KINDS
def test_panoptic_map_is_drawn(kind):
    model = make(kind)
    panoptic = np.full((16, 16), 3, dtype=np.int32)
    panoptic[:8] = 2
    panoptic[8:, :8] = 1 + 1000
    picture = model.show_result(
        np.zeros((16, 16, 3), dtype=np.uint8), dict(pan_results=panoptic), mask_color=(9, 99, 199)
    )
    assert picture.shape[2] == 3 and picture.any()


@KINDS
def test_several_views_are_refused_and_network_runs_alone(kind):
    model = make(kind).eval()
    img, metas = batch()
    scores, masks = model.forward_dummy(img, metas)
    assert scores[-1].shape == (2, 6, 4) and masks[-1].shape == (2, 6, 4, 4)
    with pytest.raises(NotImplementedError, match='several views'):
        model.forward_test([img[:1]] * 2, [metas[:1]] * 2)


def test_missing_head_is_named():
    with pytest.raises(ValueError, match='panoptic_fusion_head'):
        build_detector(
            dict(type='MaskFormer', backbone=dict(type='TwoConvs'), panoptic_head=dict(type='MaskFormerHead'))
        )
