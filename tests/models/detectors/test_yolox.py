import random

import pytest
import torch

from mmdet.models.builder import build_detector
from mmdet.models.detectors.yolox import resize_batch


def make(**kwargs):
    torch.manual_seed(0)
    return build_detector(
        dict(
            type='YOLOX', input_size=(64, 96), random_size_range=(1, 3), random_size_interval=2,
            backbone=dict(type='CSPDarknet', deepen_factor=0.1, widen_factor=0.0625),
            neck=dict(type='YOLOXPAFPN', in_channels=[16, 32, 64], out_channels=8, num_csp_blocks=1),
            bbox_head=dict(type='YOLOXHead', num_classes=3, in_channels=8, feat_channels=8, stacked_convs=1),
            train_cfg=dict(assigner=dict(type='SimOTAAssigner')),
            test_cfg=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.65)),
        )
        | kwargs
    )  # fmt: skip


def batch():
    metas = [dict(img_shape=(64, 96, 3), scale_factor=[1.0] * 4)] * 2
    boxes = [torch.tensor([[8.0, 8, 40, 48]]), torch.zeros(0, 4)]
    return torch.randn(2, 3, 64, 96), [dict(m) for m in metas], boxes, [torch.tensor([1]), torch.zeros(0).long()]


def test_images_and_boxes_are_resized_alike():
    img, boxes = resize_batch(torch.ones(1, 3, 64, 96), [torch.tensor([[8.0, 8, 40, 48]])], (128, 48))
    assert img.shape == (1, 3, 128, 48) and img.eq(1).all()
    assert boxes[0].tolist() == [[4, 16, 20, 96]]


def test_size_is_drawn_every_second_iteration_and_keeps_the_proportion():
    model = make()
    sizes, seen = [], []
    model.backbone.register_forward_pre_hook(lambda module, args: seen.append(tuple(args[0].shape[-2:])))
    random.seed(1)
    for _ in range(6):
        img, metas, boxes, labels = batch()
        losses = model(img, metas, gt_bboxes=boxes, gt_labels=labels)
        assert all(torch.isfinite(v).all() for v in losses.values())
        assert boxes[0].tolist() == [[8, 8, 40, 48]]  # the caller's boxes stay
        sizes.append(model._input_size)
    random.seed(1)
    drawn = [random.randint(1, 3) for _ in range(3)]
    wanted = [(32 * n, 32 * int(1.5 * n)) for n in drawn]
    assert sizes[1::2] == wanted
    assert seen == [(64, 96)] * 2 + [size for size in wanted[:2] for _ in range(2)]


def test_test_images_keep_their_size_and_batches_give_what_single_images_do():
    model = make().eval()
    model._input_size = (32, 32)
    img, metas, *_ = batch()
    with torch.no_grad():
        both = model(return_loss=False, img=[img], img_metas=[metas])
        alone = model(return_loss=False, img=[img[1:]], img_metas=[metas[1:]])
    assert sum(map(len, both[1])) > 0
    for got, want in zip(both[1], alone[0]):
        assert got == pytest.approx(want, rel=1e-4, abs=1e-4)
