import numpy as np
import pytest
import torch

from mmdet.models.builder import build_detector

META = dict(img_shape=(64, 64, 3), scale_factor=[2.0] * 4, border=[0, 64, 0, 64], flip=False)
MIRRORED = dict(META, flip=True)


def make():
    torch.manual_seed(0)
    return build_detector(
        dict(
            type='CornerNet', neck=None,
            backbone=dict(
                type='HourglassNet', downsample_times=2, num_stacks=1, stage_channels=[8, 8, 8],
                stage_blocks=[1, 1, 1], feat_channel=8,
            ),
            bbox_head=dict(type='CornerHead', num_classes=3, in_channels=8, num_feat_levels=1),
            test_cfg=dict(
                corner_topk=20, local_maximum_kernel=3, distance_threshold=9.0, max_per_img=30,
                nms=dict(type='soft_nms', iou_threshold=0.5, method='gaussian'),
            ),
        )
    ).eval()  # fmt: skip


def test_augmented_test_brings_boxes_back_and_suppresses_once():
    model, img = make(), torch.randn(1, 3, 64, 64)
    metas = [[dict(META)], [dict(MIRRORED)]]
    with torch.no_grad():
        result = model(return_loss=False, rescale=True, img=[img, img.flip(3)], img_metas=metas)[0]
        alone = model(return_loss=False, rescale=True, img=[img], img_metas=[[dict(META)]])[0]
    joined = np.concatenate(result)
    assert 0 < len(joined) <= 30 and joined[:, :4].min() >= -1 and joined[:, :4].max() <= 33
    assert 0 < sum(map(len, alone)) <= 30


def test_merging_mirrors_the_boxes_of_the_mirrored_version():
    model = make()
    dets = torch.tensor([[8.0, 4, 24, 12, 0.9]])
    results = [(dets, torch.tensor([1])), (torch.tensor([[40.0, 4, 56, 12, 0.8]]), torch.tensor([2]))]
    merged, labels = model.merge_aug_results(results, [[META], [MIRRORED]])
    assert merged[:, :4].tolist() == [[4, 2, 12, 6]] * 2 and labels.tolist() == [1, 2]


def test_versions_without_their_mirrored_ones_are_refused():
    img = torch.randn(1, 3, 64, 64)
    with pytest.raises(ValueError, match='followed by its mirrored one'):
        make().aug_test([img], [[META]])
