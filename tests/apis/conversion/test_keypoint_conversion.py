"""torchvision's Keypoint R-CNN, converted: keypoints and losses are equal."""

import numpy as np
import pytest
import torch
from mmcv import Config
from test_torchvision_conversion import (
    CONFIGS,
    HEIGHT,
    PROPOSALS,
    WIDTH,
    image,
    meta,
    normalised,
    proposal_settings,
    take_all,
)
from torchvision.models import detection
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

from mmdet.apis.conversion import mmdet_to_torchvision, torchvision_to_mmdet
from mmdet.models import build_detector

DETECTIONS = 20  # of an image, in place of a hundred: each goes through eight convolutions of 512 channels
BOXES = torch.tensor([[20.0, 30.0, 90.0, 120.0], [100.0, 10.0, 200.0, 150.0]])


@pytest.fixture(scope='module')
def pair():
    torch.manual_seed(0)
    theirs = detection.keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2)
    theirs.transform.min_size, theirs.transform.max_size = (HEIGHT,), WIDTH
    for key, buffer in theirs.state_dict().items():
        if key.endswith('bn3.weight'):
            buffer.fill_(0.4)
        elif key.endswith(('cls_score.weight', 'bbox_pred.weight', 'cls_logits.weight')):
            buffer.normal_(0, 0.05)
    theirs.rpn._post_nms_top_n = dict.fromkeys(('training', 'testing'), PROPOSALS)
    theirs.roi_heads.detections_per_img = DETECTIONS
    cfg = Config.fromfile(str(CONFIGS / 'keypoint_rcnn_r50_fpn.py'))
    cfg.model.backbone.init_cfg = None
    for section in proposal_settings(cfg.model).values():
        section.max_per_img = PROPOSALS
    cfg.model.test_cfg.rcnn.max_per_img = DETECTIONS
    cfg.model.train_cfg.rpn.sampler.num = cfg.model.train_cfg.rcnn.sampler.num = 1_000_000
    ours = build_detector(cfg.model)
    ours.load_state_dict(torchvision_to_mmdet(theirs.state_dict()))
    return theirs.eval(), ours.eval()


def test_keypoints_are_equal(pair):
    theirs, ours = pair
    with torch.no_grad():
        want = theirs([image()])[0]
        boxes, masks, keypoints = ours.simple_test(normalised(image()), [meta()])[0]
    boxes, keypoints = torch.from_numpy(boxes[0]), torch.from_numpy(np.asarray(keypoints[0]))
    assert masks is None and len(want['boxes']) == len(boxes) == DETECTIONS
    nearest = (want['boxes'][:, None] - boxes[None, :, :4]).abs().amax(-1).argmin(1)
    distances = (want['boxes'] - boxes[nearest, :4]).abs().amax(1)
    assert distances.max() < 1e-2
    # a maximum of a random map may have an equal rival elsewhere
    same = (want['keypoints'][..., :2] - keypoints[nearest][..., :2]).abs().amax(-1) < 1e-2
    assert same.float().mean() > 0.99
    torch.testing.assert_close(want['keypoints_scores'][same], keypoints[nearest][..., 2][same], rtol=1e-3, atol=1e-4)


def test_keypoint_losses_are_equal(pair, monkeypatch):
    theirs, ours = pair
    monkeypatch.setattr(BalancedPositiveNegativeSampler, '__call__', take_all)
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, 17, 2, generator=generator) * (BOXES[:, None, 2:] - BOXES[:, None, :2]) + BOXES[:, None, :2]
    visible = (torch.arange(17) % 3 > 0).float().expand(2, 17)[..., None] * 2
    points = torch.cat([points, visible], -1)
    for module in (theirs, theirs.rpn, theirs.roi_heads, ours):
        module.training = True
    labels = torch.zeros(2, dtype=torch.long)
    with torch.no_grad():
        want = theirs([image()], [dict(boxes=BOXES, labels=labels + 1, keypoints=points)])
        got = ours.forward_train(normalised(image()), [meta()], [BOXES], [labels], gt_keypoints=[points])
    theirs.eval()
    ours.eval()
    for key, mine in dict(loss_keypoint='loss_keypoint', loss_classifier='loss_cls', loss_box_reg='loss_bbox').items():
        assert float(got[mine]) == pytest.approx(float(want[key]), rel=1e-4), key


def test_way_back_gives_their_keypoint_weights_again(pair):
    theirs, ours = pair
    state = theirs.state_dict()
    back = mmdet_to_torchvision(ours.state_dict(), 'keypointrcnn_resnet50_fpn', 2)
    assert back.keys() == state.keys()
    kept = [key for key in back if 'box_predictor.bbox_pred' not in key]  # boxes of the background are not kept
    assert any('kps_score' in key for key in kept) and all(torch.equal(back[key], state[key]) for key in kept)
