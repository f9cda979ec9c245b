"""Boxes, masks and keypoints of one RoI head."""

import pytest
import torch

from mmdet.models.builder import build_head

POINTS = 5


@pytest.fixture
def keypoint_head_cfg(roi_head_cfg, rcnn_cfg):
    extractor = roi_head_cfg['bbox_roi_extractor']
    train_cfg, test_cfg = rcnn_cfg
    return dict(
        type='KeypointRoIHead',
        **roi_head_cfg,
        keypoint_roi_extractor=dict(extractor, roi_layer=dict(type='RoIAlign', output_size=4, sampling_ratio=2)),
        keypoint_head=dict(
            type='FCNKeypointHead', num_keypoints=POINTS, num_convs=1, roi_feat_size=4, in_channels=4,
            conv_out_channels=6, skeleton='shape',
        ),
        train_cfg=train_cfg,
        test_cfg=test_cfg,
    )  # fmt: skip


@pytest.fixture
def keypoint_batch(roi_batch):
    batch = {key: value for key, value in roi_batch.items() if key != 'gt_extra_labels'}
    inner = torch.tensor([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8], [0.5, 0.5]])
    batch['gt_keypoints'] = [
        torch.cat(
            [b[:, None, :2] + inner * (b[:, 2:] - b[:, :2])[:, None], torch.full((len(b), POINTS, 1), 2.0)], dim=2
        )
        for b in batch['gt_bboxes']
    ]
    return batch


def metas_of(batch):
    return [dict(meta, flip=False, flip_direction=None) for meta in batch['img_metas']]


def build(cfg, **changes):
    torch.manual_seed(0)
    head = build_head({**cfg, **changes})
    head.init_weights()
    return head


def test_roi_head_has_the_losses_of_all_branches(keypoint_head_cfg, keypoint_batch):
    head = build(keypoint_head_cfg)
    losses = head.forward_train(**keypoint_batch)
    assert set(losses) == {'loss_cls', 'acc', 'loss_bbox', 'loss_keypoint'}
    sum(losses[name] for name in losses if 'loss' in name).backward()
    assert all(p.grad is not None and p.grad.any() for p in head.keypoint_head.parameters())


def test_roi_head_boxes_learn_as_without_keypoints(keypoint_head_cfg, keypoint_batch):
    head = build(keypoint_head_cfg)
    plain_cfg = {k: v for k, v in keypoint_head_cfg.items() if not k.startswith('keypoint')} | dict(
        type='StandardRoIHead'
    )
    plain = build(plain_cfg)
    plain.load_state_dict({k: v for k, v in head.state_dict().items() if not k.startswith('keypoint')})
    points = keypoint_batch.pop('gt_keypoints')
    want = plain.forward_train(**keypoint_batch)
    got = head.forward_train(**keypoint_batch, gt_keypoints=points)
    assert all(torch.equal(got[name], want[name]) for name in want)


def test_roi_head_without_keypoints_in_the_batch_names_the_step(keypoint_head_cfg, keypoint_batch):
    del keypoint_batch['gt_keypoints']
    with pytest.raises(ValueError, match='with_keypoints'):
        build(keypoint_head_cfg).forward_train(**keypoint_batch)


def test_roi_head_results_lie_in_their_boxes_and_scale_with_them(keypoint_head_cfg, keypoint_batch):
    head = build(keypoint_head_cfg).eval()
    x, proposals = keypoint_batch['x'], keypoint_batch['proposal_list']
    small = head.simple_test(x, proposals, metas_of(keypoint_batch), rescale=True)
    large = head.simple_test(x, proposals, metas_of(keypoint_batch), rescale=False)
    for (boxes, masks, keypoints), (_, _, large_keypoints) in zip(small, large):
        assert masks is None and len(boxes) == len(keypoints) == 3
        assert sum(map(len, boxes)) == 5
        for b, k, big_k in zip(boxes, keypoints, large_keypoints):
            assert k.shape == (len(b), POINTS, 3)
            assert (k[..., 0] >= b[:, :1]).all() and (k[..., 0] <= b[:, 2:3]).all()
            assert (k[..., 1] >= b[:, 1:2]).all() and (k[..., 1] <= b[:, 3:4]).all()
            assert big_k[..., :2] == pytest.approx(2 * k[..., :2], abs=1e-3)
            assert (k[..., 2] > 0).all()


def test_roi_head_scores_may_be_logits(keypoint_head_cfg, keypoint_batch):
    cfg = dict(keypoint_head_cfg, test_cfg=dict(keypoint_head_cfg['test_cfg'], keypoint_score='logit'))
    head = build(cfg).eval()
    maps = torch.full((1, POINTS, 16, 16), -3.0)
    assert head._decode(maps, torch.tensor([[0.0, 0, 16, 16]]))[0, :, 2].tolist() == pytest.approx([-3.0] * POINTS)
    with pytest.raises(ValueError, match="'logit'"):
        build(dict(cfg, test_cfg=dict(cfg['test_cfg'], keypoint_score='logits')))


def test_roi_head_without_detections_gives_empty_arrays(keypoint_head_cfg, keypoint_batch):
    head = build(keypoint_head_cfg).eval()
    nothing = [torch.zeros(0, 5)] * 2
    for boxes, _, keypoints in head.simple_test(keypoint_batch['x'], nothing, metas_of(keypoint_batch), rescale=True):
        assert [b.shape for b in boxes] == [(0, 5)] * 3
        assert [k.shape for k in keypoints] == [(0, POINTS, 3)] * 3


def test_roi_head_with_masks_gives_all_three(keypoint_head_cfg, keypoint_batch):
    mask_head = dict(type='FCNMaskHead', num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3)
    extractor = keypoint_head_cfg['keypoint_roi_extractor']
    head = build(keypoint_head_cfg, mask_head=mask_head, mask_roi_extractor=extractor).eval()
    results = head.simple_test(
        keypoint_batch['x'], keypoint_batch['proposal_list'], metas_of(keypoint_batch), rescale=True
    )
    for boxes, masks, keypoints in results:
        assert [len(m) for m in masks] == [len(b) for b in boxes] == [len(k) for k in keypoints]
        assert all(mask.shape == (48, 64) for of_class in masks for mask in of_class)


def test_roi_head_one_view_equals_the_simple_test(keypoint_head_cfg, keypoint_batch):
    head = build(keypoint_head_cfg).eval()
    x = [level[:1] for level in keypoint_batch['x']]
    meta = dict(metas_of(keypoint_batch)[0], scale_factor=torch.tensor([2.0] * 4).numpy())
    proposals = keypoint_batch['proposal_list'][:1]
    (simple,) = head.simple_test(x, proposals, [meta], rescale=True)
    (merged,) = head.aug_test([x], [proposals[0] / 2], [[meta]], rescale=True)
    for a, b in zip(simple[0] + simple[2], merged[0] + merged[2]):
        assert a == pytest.approx(b, abs=1e-3)


def test_roi_head_mirrored_view_agrees_when_the_maps_do(keypoint_head_cfg, keypoint_batch):
    head = build(keypoint_head_cfg).eval()
    meta = dict(metas_of(keypoint_batch)[0], scale_factor=torch.tensor([2.0] * 4).numpy())
    mirrored = dict(meta, flip=True, flip_direction='horizontal')
    maps = torch.randn(1, POINTS, 16, 16)
    views = {0: maps, 1: maps.flip(3)[:, [1, 0, 3, 2, 4]]}
    asked = []

    def forward(feats, rois):
        asked.append(rois[0, 1:].tolist())
        return views[len(asked) - 1]

    head._keypoint_forward = forward
    dets = torch.tensor([[5.0, 6, 25, 36, 0.9]])
    keypoints = head.aug_test_keypoints([None, None], [[meta], [mirrored]], dets)
    assert asked == [[10, 12, 50, 72], [78, 12, 118, 72]]
    assert torch.allclose(keypoints, head._decode(maps, dets[:, :4] * 2), atol=1e-4)


def test_roi_head_refuses_vertical_views(keypoint_head_cfg):
    head = build(keypoint_head_cfg)
    with pytest.raises(NotImplementedError, match='vertical'):
        head.aug_test([None], [None], [[dict(flip=True, flip_direction='vertical')]])
