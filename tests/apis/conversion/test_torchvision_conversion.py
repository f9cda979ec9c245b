"""torchvision's own detectors with random weights, converted: proposals, detections and training losses are equal."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv import Config
from torchvision.models import detection
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.roi_heads import expand_boxes
from torchvision.ops import box_iou

from mmdet.apis.conversion import ConversionError, mmdet_to_torchvision, torchvision_to_mmdet
from mmdet.core import BitmapMasks
from mmdet.models import build_detector

CONFIGS = Path(__file__).resolve().parents[3] / 'configs/torchvision'
CLASSES = 4  # and background
HEIGHT, WIDTH = 160, 224  # px: the coarsest map is rounded up
MODELS = {
    'fasterrcnn_resnet50_fpn': 'faster_rcnn_r50_fpn',
    'fasterrcnn_resnet50_fpn_v2': 'faster_rcnn_r50_fpn_v2',
    'fasterrcnn_mobilenet_v3_large_fpn': 'faster_rcnn_mobilenet_v3_large_fpn',
    'fasterrcnn_mobilenet_v3_large_320_fpn': 'faster_rcnn_mobilenet_v3_large_320_fpn',
    'maskrcnn_resnet50_fpn': 'mask_rcnn_r50_fpn',
    'maskrcnn_resnet50_fpn_v2': 'mask_rcnn_r50_fpn_v2',
    'retinanet_resnet50_fpn': 'retinanet_r50_fpn',
}
BOXES = torch.tensor([[20.0, 30.0, 90.0, 120.0], [100.0, 10.0, 200.0, 150.0], [30.0, 40.0, 80.0, 90.0]])
LABELS = torch.tensor([2, 0, 3])
PROPOSALS = 150  # an image, in place of a thousand: the box heads of v2 have four convolutions for each


def their_model(name):
    """torchvision's model on images of any size as they are, with weights whose activations stay of size one."""
    torch.manual_seed(0)
    options = dict(weights=None, weights_backbone=None, num_classes=CLASSES + 1)
    model = getattr(detection, name)(**options, trainable_backbone_layers=5)
    model.transform.min_size, model.transform.max_size = (HEIGHT,), WIDTH
    for key, buffer in model.state_dict().items():
        if key.endswith(('running_var', 'bn3.weight')):
            buffer.uniform_(0.3, 0.6) if key.endswith('weight') else buffer.uniform_(0.9, 1.5)
        elif key.endswith(('running_mean', '.bias')):
            buffer.normal_(0, 0.02)
        elif key.endswith(('cls_score.weight', 'bbox_pred.weight', 'cls_logits.weight', 'bbox_reg.weight')):
            buffer.normal_(0, 0.05)
    return model.eval()


def proposal_settings(model):
    """The sections of a model's config that say how many proposals there are, under torchvision's names of them."""
    return dict(training=model.train_cfg.rpn_proposal, testing=model.test_cfg.rpn)


def our_model(name, state_dict):
    cfg = Config.fromfile(str(CONFIGS / f'{MODELS[name]}.py'))
    cfg.model.backbone.init_cfg = None
    head = cfg.model.bbox_head if 'bbox_head' in cfg.model else cfg.model.roi_head.bbox_head
    head.num_classes = CLASSES
    if 'roi_head' in cfg.model:
        cfg.model.train_cfg.rpn.sampler.num = cfg.model.train_cfg.rcnn.sampler.num = 1_000_000
        if 'mask_head' in cfg.model.roi_head:
            cfg.model.roi_head.mask_head.num_classes = CLASSES
        for section in proposal_settings(cfg.model).values():
            section.max_per_img = PROPOSALS
    model = build_detector(cfg.model)
    result = model.load_state_dict(torchvision_to_mmdet(state_dict), strict=False)
    assert not result.unexpected_keys
    assert all(key.endswith('num_batches_tracked') for key in result.missing_keys)
    return model.eval()


@pytest.fixture(scope='module', params=list(MODELS))
def pair(request):
    theirs = their_model(request.param)
    if hasattr(theirs, 'rpn'):
        theirs.rpn._post_nms_top_n = dict.fromkeys(('training', 'testing'), PROPOSALS)
    return request.param, theirs, our_model(request.param, theirs.state_dict())


@pytest.fixture(scope='module')
def their_detections(pair):
    with torch.no_grad():
        return pair[1]([image()])[0]


def image():
    return torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


def normalised(picture):
    """A batch of one as our pipelines make it; their model does this itself."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((picture - mean[:, None, None]) / std[:, None, None])[None]


def meta():
    shape = (HEIGHT, WIDTH, 3)
    scale = np.ones(4, np.float32)
    return dict(img_shape=shape, pad_shape=shape, ori_shape=shape, scale_factor=scale, flip=False, filename='')


def by_score(boxes, scores, labels):
    order = scores.argsort(descending=True, stable=True)
    return boxes[order], scores[order], labels[order]


def test_detections_are_equal(pair, their_detections):
    name, _, ours = pair
    want = their_detections
    with torch.no_grad():
        result = ours.simple_test(normalised(image()), [meta()])[0]
    per_class = result[0] if isinstance(result, tuple) else result
    dets = torch.from_numpy(np.concatenate(per_class))
    labels = torch.cat([torch.full((len(rows),), label) for label, rows in enumerate(per_class)])
    boxes, scores, labels = by_score(dets[:, :4], dets[:, 4], labels)
    # RetinaNet's scores have no background among them: their class 0 is one that is never an object
    wanted = by_score(want['boxes'], want['scores'], want['labels'] - 1)
    used = wanted[2] >= 0
    wanted = [part[used] for part in wanted]
    count = min(len(scores), len(wanted[0]), 50)
    assert count >= 20
    torch.testing.assert_close(scores[:count], wanted[1][:count], rtol=0, atol=1e-4)
    # equal scores may change places: each of their boxes has an equal one of its label
    rivals = 0
    for box, score, label in zip(*(part[: count - 2] for part in wanted)):
        near = (labels == label) & ((scores - score).abs() < 1e-4)
        if (boxes[near] - box).abs().amax(1).min() >= 2e-2:
            # suppression keeps either of two overlapping boxes whose scores are equal but for rounding
            tied = (labels == label) & ((scores - score).abs() < 1e-6)
            assert box_iou(boxes[tied], box[None]).max() > 0.5, (name, box, score, label)
            rivals += 1
    assert rivals <= 1


@pytest.mark.parametrize('name', [name for name in MODELS if 'retinanet' not in name])
def test_config_asks_for_as_many_proposals(name):
    model = Config.fromfile(str(CONFIGS / f'{MODELS[name]}.py')).model
    with torch.device('meta'):
        theirs = getattr(detection, name)(weights=None, weights_backbone=None)
    assert {key: section.max_per_img for key, section in proposal_settings(model).items()} == theirs.rpn._post_nms_top_n


@pytest.mark.parametrize('pair', [name for name in MODELS if 'retinanet' not in name], indirect=True)
def test_proposals_are_equal(pair):
    _, theirs, ours = pair
    with torch.no_grad():
        images = detection.image_list.ImageList(normalised(image()), [(HEIGHT, WIDTH)])
        want = theirs.rpn(images, theirs.backbone(images.tensors))[0][0]
        got = ours.rpn_head.simple_test_rpn(ours.extract_feat(images.tensors), [meta()])[0]
    assert len(want) == len(got) > 50
    distance = (want[:, None] - got[None, :, :4]).abs().amax(-1)
    assert distance.amin(1).max() < 1e-2


def detected_masks(want, ours):
    """How far (n,) our boxes are from theirs, and our pictures (n, H, W) of the masks in them."""
    with torch.no_grad():
        boxes, masks = ours.simple_test(normalised(image()), [meta()])[0]
    boxes = torch.from_numpy(np.concatenate(boxes))[:, :4]
    labels = torch.cat([torch.full((len(of_class),), label) for label, of_class in enumerate(masks)])
    pictures = torch.from_numpy(np.stack([mask for of_class in masks for mask in of_class]))
    same_label = labels[None] == want['labels'][:, None] - 1
    distance = (want['boxes'][:, None] - boxes[None]).abs().amax(-1).masked_fill(~same_label, float('inf'))
    nearest, place = distance.min(1)
    assert (nearest < 2e-2).float().mean() > 0.95  # equal scores may be cut off at another detection
    return nearest, pictures[place]


@pytest.mark.parametrize('pair', [name for name in MODELS if 'mask' in name], indirect=True)
def test_pictures_of_masks_are_equal(pair, their_detections, monkeypatch):
    ours, want = pair[2], their_detections
    nearest, pictures = detected_masks(want, ours)
    # a corner that falls on the other side of a whole pixel moves the mask there by one
    grown = expand_boxes(want['boxes'], 30 / 28)
    exact = (nearest < 1e-3) & ((grown - grown.round()).abs().amin(1) > 2e-3)
    assert exact.sum() > 90 and pictures.dtype == torch.bool
    probabilities = want['masks'][exact, 0]
    assert 0.005 < pictures[exact].float().mean() < 0.9
    differ = pictures[exact] != (probabilities >= 0.5)
    assert ((probabilities[differ] - 0.5).abs() < 1e-4).all()
    monkeypatch.setitem(ours.roi_head.test_cfg, 'mask_thr_binary', -1)  # probabilities, in steps of 1 / 255
    soft = detected_masks(want, ours)[1][exact] / 255
    assert ((probabilities - soft) > -1e-4).all() and ((probabilities - soft) < 1 / 255 + 1e-4).all()


@pytest.mark.parametrize('pair', [name for name in MODELS if 'mask' in name], indirect=True)
def test_mask_probabilities_of_the_same_boxes_are_equal(pair):
    _, theirs, ours = pair
    boxes, labels = torch.cat([BOXES, BOXES / 2]), torch.cat([LABELS, LABELS])
    with torch.no_grad():
        batch = detection.image_list.ImageList(normalised(image()), [(HEIGHT, WIDTH)])
        maps = theirs.backbone(batch.tensors)
        features = theirs.roi_heads.mask_roi_pool(maps, [boxes], batch.image_sizes)
        want = theirs.roi_heads.mask_predictor(theirs.roi_heads.mask_head(features))[range(6), labels + 1]
        rois = torch.cat([torch.zeros(6, 1), boxes], 1)
        got = ours.roi_head._mask_forward(ours.extract_feat(batch.tensors), rois)['mask_pred'][range(6), labels]
    assert got.shape == (6, 28, 28) and want.std() > 0.01
    torch.testing.assert_close(got, want, rtol=0, atol=1e-4)
    torch.testing.assert_close(got.sigmoid(), want.sigmoid(), rtol=0, atol=1e-4)


def gt_masks():
    masks = torch.zeros(len(BOXES), HEIGHT, WIDTH, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, BOXES.int().tolist()):
        mask[y1 : y2 - 10, x1:x2] = 1
    return masks


def take_all(self, matched):
    """All positives and negatives, in the place of a random choice."""
    return [(m >= 1).to(torch.uint8) for m in matched], [(m == 0).to(torch.uint8) for m in matched]


def test_training_losses_are_equal(pair, monkeypatch):
    name, theirs, ours = pair
    monkeypatch.setattr(BalancedPositiveNegativeSampler, '__call__', take_all)
    target = dict(boxes=BOXES, labels=LABELS + 1, masks=gt_masks())
    # batch norm stays in evaluation mode, lest the two change their statistics in turn
    for module in (theirs, getattr(theirs, 'rpn', theirs), getattr(theirs, 'roi_heads', theirs), ours):
        module.training = True
    with torch.no_grad():
        want = theirs([image()], [target])
        extra = dict(gt_masks=[BitmapMasks(gt_masks().numpy(), HEIGHT, WIDTH)]) if 'mask' in name else {}
        got = ours.forward_train(normalised(image()), [meta()], [BOXES], [LABELS], **extra)
    names = dict(
        loss_objectness='loss_rpn_cls',
        loss_rpn_box_reg='loss_rpn_bbox',
        loss_classifier='loss_cls',
        loss_box_reg='loss_bbox',
        loss_mask='loss_mask',
        classification='loss_cls',
        bbox_regression='loss_bbox',
    )
    theirs.eval()
    ours.eval()
    for key, value in want.items():
        if (name, key) == ('retinanet_resnet50_fpn', 'classification'):
            continue  # theirs counts one class more, the unused number 0
        mine = got[names[key]]
        mine = sum(mine) if isinstance(mine, list) else mine
        assert float(mine) == pytest.approx(float(value), rel=1e-4, abs=1e-6), key


def test_way_back_gives_their_weights_again(pair):
    name, theirs, _ = pair
    state = theirs.state_dict()
    back = mmdet_to_torchvision(torchvision_to_mmdet(state), name, CLASSES + 1)
    kept = [key for key in back if 'bbox_pred' not in key and 'cls_logits' not in key and 'mask_fcn' not in key]
    assert set(back) == set(state) and all(torch.equal(back[key], state[key]) for key in kept)
    again = torchvision_to_mmdet(back)
    assert all(torch.equal(again[key], value) for key, value in torchvision_to_mmdet(state).items())


def test_coco_models_keep_the_classes_that_coco_uses():
    scores = torch.arange(91.0)
    state = {'roi_heads.box_predictor.cls_score.bias': scores, 'rpn.head.conv.weight': torch.ones(1)}
    ours = torchvision_to_mmdet(state)
    biases = ours['roi_head.bbox_head.fc_cls.bias'].tolist()
    assert len(biases) == 81 and biases[:12] == [*range(1, 12), 13] and biases[-2:] == [90, 0]
    assert 'rpn_head.rpn_conv.weight' in ours  # the name that files from before 0.13 have


def test_unknown_entries_and_models_are_named():
    bias = {'roi_heads.box_predictor.cls_score.bias': torch.zeros(3)}
    with pytest.raises(ConversionError, match='1 entries are not known of torchvision detectors: backbone.neck.x'):
        torchvision_to_mmdet({**bias, 'backbone.neck.x': torch.zeros(1)})
    with pytest.raises(ConversionError, match='no class scores'):
        torchvision_to_mmdet({})
    with pytest.raises(ConversionError, match="no detector 'fasterrcn'"):
        mmdet_to_torchvision({}, 'fasterrcn', 3)
    with pytest.raises(ConversionError, match='is missing, which becomes'):
        mmdet_to_torchvision({}, 'fasterrcnn_resnet50_fpn', 3)
