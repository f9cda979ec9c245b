"""Panoptic FPN as a whole."""

import copy

import cv2
import numpy as np
import pytest
import torch

from mmdet.core.mask import BitmapMasks
from mmdet.models.builder import build_detector

NMS = dict(type='nms', iou_threshold=0.5)
PROPOSALS = dict(nms_pre=50, max_per_img=20, nms=NMS, min_bbox_size=0)


def _matching(add, **changes):
    return dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.1),
        sampler=dict(type='RandomSampler', num=16, pos_fraction=0.5, add_gt_as_proposals=add),
        allowed_border=-1,
        pos_weight=-1,
    ) | changes  # fmt: skip


EXTRACTOR = dict(
    type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=2, sampling_ratio=1), out_channels=4,
    featmap_strides=[8, 16],
)  # fmt: skip
CONFIG = dict(
    type='PanopticFPN', backbone=dict(type='TwoConvs'),
    rpn_head=dict(
        type='RPNHead', in_channels=4, feat_channels=4,
        anchor_generator=dict(type='AnchorGenerator', scales=[2], ratios=[1.0], strides=[8, 16]),
    ),
    roi_head=dict(
        type='StandardRoIHead', bbox_roi_extractor=EXTRACTOR, mask_roi_extractor=EXTRACTOR,
        bbox_head=dict(type='Shared2FCBBoxHead', in_channels=4, fc_out_channels=8, roi_feat_size=2, num_classes=3),
        mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3),
    ),
    semantic_head=dict(
        type='PanopticFPNHead', num_things_classes=3, num_stuff_classes=2, in_channels=4, inner_channels=4,
        end_level=2, norm_cfg=None, loss_seg=dict(type='CrossEntropyLoss', ignore_index=255),
    ),
    panoptic_fusion_head=dict(type='HeuristicFusionHead', num_things_classes=3, num_stuff_classes=2),
    train_cfg=dict(rpn=_matching(False), rpn_proposal=PROPOSALS, rcnn=_matching(True, mask_size=4)),
    test_cfg=dict(
        rpn=PROPOSALS,
        rcnn=dict(score_thr=0.99, nms=NMS, max_per_img=5, mask_thr_binary=0.5),
        panoptic=dict(
            score_thr=0.0, nms=NMS, max_per_img=5, mask_thr_binary=0.3, mask_overlap=0.9, stuff_area_limit=1
        ),
    ),
)  # fmt: skip


@pytest.fixture
def make():
    def build(**changes):
        torch.manual_seed(0)
        return build_detector(copy.deepcopy(CONFIG) | changes)

    return build


def test_training_adds_the_segmentation(make, batch):
    detector = make()
    masks = [BitmapMasks(np.ones((len(b), 32, 48), np.uint8), 32, 48) for b in batch['gt_bboxes']]
    seg = torch.randint(0, 5, (2, 1, 8, 12))
    out = detector.train_step(dict(batch, gt_masks=masks, gt_semantic_seg=seg), None)
    assert {'loss_seg', 'loss_mask', 'loss_bbox', 'loss_cls', 'loss_rpn_cls', 'loss_rpn_bbox'} < set(out['log_vars'])
    out['loss'].backward()
    assert all(p.grad is not None for p in detector.parameters())
    assert detector.last_objectness is not None
    with pytest.raises(ValueError, match='gt_semantic_seg is missing'):
        detector.forward_train(**batch, gt_masks=masks)


@pytest.mark.parametrize('rescale', [False, True])
def test_maps_hold_stuff_void_and_numbered_things(rescale, make, batch):
    detector = make().eval()
    metas = [dict(batch['img_metas'][0]), dict(batch['img_metas'][1], img_shape=(24, 40, 3), ori_shape=(12, 20, 3))]
    maps = [
        r['pan_results'] for r in detector(return_loss=False, img=[batch['img']], img_metas=[metas], rescale=rescale)
    ]
    assert [m.shape for m in maps] == ([(16, 24), (12, 20)] if rescale else [(32, 48), (24, 40)])
    for one in maps:
        labels, numbers = one % 1000, one // 1000
        assert one.dtype == np.int32 and set(labels[numbers == 0]) <= {3, 4, 5}
        assert set(labels[numbers > 0]) <= {0, 1, 2} and numbers.max() > 0
        assert set(range(1, numbers.max() + 1)) == set(numbers[numbers > 0])


def test_without_detections_stuff_remains(make, batch):
    detector = make().eval()
    detector.test_cfg.panoptic.score_thr = 1.1
    results = detector(return_loss=False, img=[batch['img']], img_metas=[batch['img_metas']], rescale=True)
    assert all(set(np.unique(r['pan_results'])) <= {3, 4, 5} for r in results)


def test_batch_equals_image_by_image(make, batch):
    detector = make().eval()
    both = detector.simple_test(batch['img'], batch['img_metas'])
    for i in range(2):
        (one,) = detector.simple_test(batch['img'][i : i + 1], batch['img_metas'][i : i + 1])
        assert (one['pan_results'] == both[i]['pan_results']).mean() > 0.99


def test_show_result_draws_segments(make, tmp_path):
    detector = make()
    detector.CLASSES = ['a', 'b', 'c', 'd', 'e']
    pan = np.full((40, 60), 5)
    pan[:, :20], pan[10:30, 30:50] = 3, 1001
    img = np.zeros((40, 60, 3), np.uint8)
    picture = detector.show_result(img, dict(pan_results=pan), mask_color=(255, 255, 255), font_size=1)
    assert picture.shape == img.shape and not img.any()
    assert picture[35, 55].max() == 0 < picture[38, 2].min()  # void stays, stuff is coloured
    detector.show_result(img, pan, out_file=str(tmp_path / 'a.png'))
    assert cv2.imread(str(tmp_path / 'a.png')).any()


def test_what_is_missing_is_named(make, batch):
    with pytest.raises(ValueError, match='needs a semantic_head and a panoptic_fusion_head'):
        make(semantic_head=None)
    with pytest.raises(ValueError, match="no section 'panoptic'"):
        make(test_cfg=dict(rpn=PROPOSALS))
    detector = make()
    assert detector.with_semantic_head and detector.with_panoptic_fusion_head and detector.num_classes == 5
    with pytest.raises(NotImplementedError, match='cannot merge'):
        detector.aug_test([], [])
    assert detector.forward_dummy(batch['img'][:1])[-1].shape == (1, 3, 4, 6)
