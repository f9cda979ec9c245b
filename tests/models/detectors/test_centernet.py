import numpy as np
import pytest
import torch

from mmdet.models.builder import build_detector

META = dict(img_shape=(64, 64, 3), scale_factor=[2.0] * 4, border=[0, 64, 0, 64], flip=False, flip_direction=None)
MIRRORED = dict(META, flip=True, flip_direction='horizontal')


def make(**test):
    torch.manual_seed(0)
    return build_detector(
        dict(
            type='CenterNet', backbone=dict(type='ResNet', depth=18, base_channels=8, norm_cfg=dict(type='BN')),
            neck=dict(
                type='CTResNetNeck', in_channel=64, num_deconv_filters=(8, 8, 4), num_deconv_kernels=(4, 4, 4),
                use_dcn=False,
            ),
            bbox_head=dict(type='CenterNetHead', num_classes=3, in_channel=4, feat_channel=4),
            test_cfg=dict(topk=20, local_maximum_kernel=3, max_per_img=20) | test,
        )
    ).eval()  # fmt: skip


def detect(model, imgs, metas):
    with torch.no_grad():
        return model(return_loss=False, rescale=True, img=imgs, img_metas=[[dict(meta)] for meta in metas])[0]


def test_mirrored_pair_of_a_symmetric_image_gives_symmetric_heat_maps():
    model, img = make(), torch.randn(1, 3, 64, 64)
    img = img + img.flip(3)
    result = np.concatenate(detect(model, [img, img], [META, MIRRORED]))
    assert result.shape == (20, 5)
    mirrored = detect(model, [img.flip(3), img], [META, MIRRORED])
    assert np.concatenate(mirrored) == pytest.approx(result, abs=1e-4)


def test_two_pairs_are_joined_and_suppressed_where_it_is_asked_for():
    img = torch.randn(1, 3, 64, 64)
    versions, metas = [img, img.flip(3)] * 2, [META, MIRRORED] * 2
    assert sum(map(len, detect(make(), versions, metas))) == 40
    nms = dict(type='nms', iou_threshold=0.5)
    assert sum(map(len, detect(make(nms=nms), versions, metas))) <= 20


def test_versions_without_their_mirrored_ones_are_refused():
    img = torch.randn(1, 3, 64, 64)
    with pytest.raises(ValueError, match=r'followed by its mirrored one, got flip=\[False, False\]'):
        detect(make(), [img, img], [META, META])
