"""One step with a teacher, on narrow detectors of every kind: completed, trained, logged."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

TESTS = Path(__file__).resolve().parents[2]
sys.path += [str(TESTS / 'sim_device'), str(TESTS / 'models/detectors')]

import test_maskformer as maskformer  # noqa: E402 - found by the line above, as those below
import test_panoptic_fpn as panoptic_fpn  # noqa: E402
import test_zoo_detectors as zoo  # noqa: E402
from sim_cases import FAMILIES, FEW_GROUPS  # noqa: E402
from sim_models import Case, small_model, training_batch  # noqa: E402
from whole_models import drop_nothing  # noqa: E402

from mmdet.models import build_detector  # noqa: E402

OTHERS = {
    'tood': Case('tood/tood_r50_fpn_1x_coco.py', model=FEW_GROUPS),
    'autoassign': Case('autoassign/autoassign_r50_fpn_8x2_1x_coco.py', model=FEW_GROUPS),
}
SMALL = dict(yolact=zoo.YOLACT, solo=zoo.SOLO, lad=zoo.LAD, ld=zoo.STUDENT)
WHOLE = {'free_anchor', 'autoassign', 'yolact', 'solo'}  # their heads let no single object weigh
KINDS = (
    'fast_rcnn', 'mask_rcnn', 'keypoint_rcnn', 'rpn', 'retinanet', 'fcos', 'free_anchor', 'detr', *OTHERS, *SMALL,
)  # fmt: skip
NAMES = dict(filename='a.jpg', flip=False, flip_direction=None)


def model_and_batch(name, **teacher):
    """A detector in training and two images that ask for completion."""
    torch.manual_seed(0)
    if name in SMALL:
        model, data = build_detector(copy.deepcopy(SMALL[name]) | dict(teacher=teacher)), zoo.batch(NAMES, NAMES)
        classes = 3
        if name not in ('yolact', 'solo'):
            del data['gt_masks']
    else:
        case = (FAMILIES | OTHERS)[name]
        cfg = small_model(case)
        cfg.teacher = teacher
        model, classes = build_detector(cfg), case.classes
        drop_nothing(model)
        model.init_weights()
        data = {key: value.data[0] for key, value in training_batch(case).items()}
    model.CLASSES = [str(i) for i in range(classes)]
    data['img_metas'] = [dict(meta, pseudo_labels='complete') for meta in data['img_metas']]
    return model.train(), data


@pytest.mark.parametrize('name', KINDS)
def test_a_step_with_pseudo_objects(name):
    whole = name in WHOLE
    settings = dict(box_loss=1.0, ignore_as='regions') if whole else dict(weight='confidence')
    model, data = model_and_batch(name, burn_in=0, score_thr=0.005, student_view=dict(), **settings)
    seen = {}
    model.register_forward_pre_hook(lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True)
    out = model.train_step(data, None)
    out['loss'].backward()
    assert all(np.isfinite(value) for value in out['log_vars'].values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert out['log_vars']['teacher_begun'] == 1 and ('gt_weights' in seen) != whole
    counts = list(map(len, seen['gt_bboxes']))
    assert sum(counts) > sum(map(len, data['gt_bboxes'])), 'nothing was added'
    for key in ('gt_labels', 'gt_masks', 'gt_keypoints'):
        if key in data:
            assert list(map(len, seen[key])) == counts, key


def test_heads_that_let_no_object_weigh_are_named():
    model, data = model_and_batch('solo', burn_in=0)
    with pytest.raises(
        ValueError, match=r'SOLOHeadWithWeightPerImage cannot tell .*weight and box_loss of the teacher'
    ):
        model.train_step(data, None)


@pytest.mark.parametrize('kind', ['MaskFormer', 'Mask2Former'])
def test_queries_of_masks_take_whole_objects_and_no_ignored_ones(kind):
    img, metas = maskformer.batch()
    metas = [dict(meta, pseudo_labels='complete', scale_factor=np.ones(4), **NAMES) for meta in metas]
    data = dict(img=img, img_metas=metas, gt_bboxes=maskformer.BOXES, gt_labels=maskformer.LABELS)
    data['gt_masks'] = list(map(maskformer.masks_of, maskformer.BOXES))
    settings = dict(burn_in=0, score_thr=0.001, box_loss=1.0, ignore_as='regions', ignore_thr=1.0)
    model = maskformer.make(kind, stuff=0, instance_on=True, max_per_image=4, teacher=settings).train()
    model.CLASSES = ('a', 'b')
    seen = {}
    model.register_forward_pre_hook(lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True)
    out = model.train_step(data, None)
    assert np.isfinite(out['loss'].item()) and sum(map(len, seen['gt_masks'])) > 1
    assert list(map(len, seen['gt_masks'])) == list(map(len, seen['gt_labels'])) and 'gt_bboxes_ignore' not in seen


def test_panoptic_detectors_are_refused_by_name():
    for kind in ('MaskFormer', 'Mask2Former'):
        with pytest.raises(ValueError, match=f'{kind} learns a class for every pixel'):
            maskformer.make(kind, teacher={})
    with pytest.raises(ValueError, match='PanopticFPN learns a class for every pixel'):
        build_detector(copy.deepcopy(panoptic_fpn.CONFIG) | dict(teacher={}))
