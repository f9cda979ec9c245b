"""The public architecture of Detectron2's R50-FPN detectors, on arrays with its names, in plain torch functions.

It is written from the description of the models, apart from ``mmdet``: the stride in the 1x1 convolution, anchors that
are not rounded and start at the corner of the image, RoIAlign that takes pixels for points half a pixel inside, weights
(10, 10, 5, 5) of the boxes' codes, background as the last class.
"""

import math

import torch
import torch.nn.functional as F
from torchvision.ops import batched_nms, clip_boxes_to_image, roi_align

BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}
STRIDES = (4, 8, 16, 32, 64)
MEAN_BGR = (103.53, 116.28, 123.675)


def conv(x, p, name, **options):
    return F.conv2d(x, p[f'{name}.weight'], p.get(f'{name}.bias'), **options)


def conv_norm(x, p, name, **options):
    norm = [p[f'{name}.norm.{key}'] for key in ('running_mean', 'running_var', 'weight', 'bias')]
    return F.batch_norm(conv(x, p, name, **options), *norm, eps=1e-5)


def linear(x, p, name):
    return F.linear(x, p[f'{name}.weight'], p[f'{name}.bias'])


def pixels(image_bgr):
    """(H, W, 3) uint8 BGR -> (1, 3, H, W): the mean of each channel taken off, and nothing else."""
    return (torch.as_tensor(image_bgr).float() - torch.tensor(MEAN_BGR)).permute(2, 0, 1)[None]


def pyramid(x, p):
    """(1, 3, H, W) -> maps of strides 4 to 64."""
    x = F.max_pool2d(conv_norm(x, p, 'backbone.bottom_up.stem.conv1', stride=2, padding=3).relu(), 3, 2, 1)
    maps = {}
    for level, blocks in BLOCKS.items():
        for block in range(blocks):
            name = f'backbone.bottom_up.res{level}.{block}'
            stride = 2 if block == 0 and level > 2 else 1
            out = conv_norm(x, p, f'{name}.conv1', stride=stride).relu()
            out = conv_norm(conv_norm(out, p, f'{name}.conv2', padding=1).relu(), p, f'{name}.conv3')
            x = (out + (conv_norm(x, p, f'{name}.shortcut', stride=stride) if block == 0 else x)).relu()
        maps[level] = x
    outs, top = [], None
    for level in (5, 4, 3, 2):
        lateral = conv(maps[level], p, f'backbone.fpn_lateral{level}')
        top = lateral if top is None else lateral + F.interpolate(top, scale_factor=2, mode='nearest')
        outs.insert(0, conv(top, p, f'backbone.fpn_output{level}', padding=1))
    return [*outs, F.max_pool2d(outs[-1], 1, 2)]


def anchors_of(stride, height, width):
    """(height * width * 3, 4): squares of 8 strides and their 1:2 and 2:1 forms around the cells' corners."""
    base = []
    for ratio in (0.5, 1.0, 2.0):
        w = math.sqrt((8 * stride) ** 2 / ratio)
        base.append([-w / 2, -w * ratio / 2, w / 2, w * ratio / 2])
    ys, xs = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing='ij')
    return (torch.stack([xs, ys, xs, ys], -1)[:, :, None] + torch.tensor(base)).reshape(-1, 4)


def decoded(boxes, codes, weights):
    """Boxes (n, 4) moved by codes (n, ..., 4)."""
    boxes = boxes.reshape(len(boxes), *[1] * (codes.dim() - 2), 4)
    size = boxes[..., 2:] - boxes[..., :2]
    codes = codes / torch.tensor(weights)
    centre = boxes[..., :2] + size / 2 + codes[..., :2] * size
    half = codes[..., 2:].clamp(max=math.log(1000 / 16)).exp() * size / 2
    return torch.cat([centre - half, centre + half], -1)


def rpn_outputs(maps, p):
    """Logits (1, 3, h, w) and codes (1, 12, h, w) of each level."""
    name = 'proposal_generator.rpn_head'
    hidden = [conv(x, p, f'{name}.conv', padding=1).relu() for x in maps]
    return [(conv(h, p, f'{name}.objectness_logits'), conv(h, p, f'{name}.anchor_deltas')) for h in hidden]


def proposals(maps, p, size):
    """At most 1000 boxes (n, 4) px of the image of ``size`` (h, w), best first."""
    boxes, scores, levels = [], [], []
    for level, (logits, codes) in enumerate(rpn_outputs(maps, p)):
        height, width = logits.shape[2:]
        logits = logits.permute(0, 2, 3, 1).flatten()
        codes = codes.reshape(3, 4, height, width).permute(2, 3, 0, 1).reshape(-1, 4)
        best = logits.topk(min(1000, len(logits))).indices
        found = decoded(anchors_of(STRIDES[level], height, width)[best], codes[best], (1.0, 1.0, 1.0, 1.0))
        boxes.append(clip_boxes_to_image(found, size))
        scores.append(logits[best])
        levels.append(torch.full((len(best),), level))
    boxes, scores, levels = torch.cat(boxes), torch.cat(scores), torch.cat(levels)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
    boxes, scores, levels = boxes[kept], scores[kept], levels[kept]
    return boxes[batched_nms(boxes, scores, levels, 0.7)[:1000]]


def pooled(maps, boxes, size):
    """(n, 256, size, size) features of boxes (n, 4), each from the level of its size."""
    side = (boxes[:, 2:] - boxes[:, :2]).prod(1).sqrt()
    level = (4 + (side / 224 + 1e-8).log2()).floor().clamp(2, 5).long() - 2
    out = torch.zeros(len(boxes), 256, size, size)
    for i in range(4):
        mine = level == i
        out[mine] = roi_align(maps[i], [boxes[mine]], size, 1 / STRIDES[i], 0, aligned=True)
    return out


def box_outputs(maps, p, boxes):
    """Probabilities (n, K + 1), background last, and moved boxes (n, K, 4) of boxes (n, 4)."""
    x = pooled(maps, boxes, 7).flatten(1)
    x = linear(linear(x, p, 'roi_heads.box_head.fc1').relu(), p, 'roi_heads.box_head.fc2').relu()
    codes = linear(x, p, 'roi_heads.box_predictor.bbox_pred').reshape(len(boxes), -1, 4)
    return linear(x, p, 'roi_heads.box_predictor.cls_score').softmax(1), decoded(boxes, codes, (10.0, 10.0, 5.0, 5.0))


def detections(maps, p, size):
    """Boxes (n, 4), scores (n,), labels (n,) of an image of ``size`` (h, w), best first."""
    probabilities, boxes = box_outputs(maps, p, proposals(maps, p, size))
    rows, labels = (probabilities[:, :-1] > 0.05).nonzero().T
    boxes, scores = clip_boxes_to_image(boxes[rows, labels], size), probabilities[rows, labels]
    kept = batched_nms(boxes, scores, labels, 0.5)[:100]
    return boxes[kept], scores[kept], labels[kept]


def mask_logits(maps, p, boxes):
    """(n, K, 28, 28) of boxes (n, 4)."""
    x = pooled(maps, boxes, 14)
    for i in range(1, 5):
        x = conv(x, p, f'roi_heads.mask_head.mask_fcn{i}', padding=1).relu()
    deconv = [p[f'roi_heads.mask_head.deconv.{key}'] for key in ('weight', 'bias')]
    return conv(F.conv_transpose2d(x, *deconv, stride=2).relu(), p, 'roi_heads.mask_head.predictor')


def heatmaps(maps, p, boxes):
    """(n, 17, 56, 56) of boxes (n, 4)."""
    x = pooled(maps, boxes, 14)
    for i in range(1, 9):
        x = conv(x, p, f'roi_heads.keypoint_head.conv_fcn{i}', padding=1).relu()
    lowres = [p[f'roi_heads.keypoint_head.score_lowres.{key}'] for key in ('weight', 'bias')]
    x = F.conv_transpose2d(x, *lowres, stride=2, padding=1)
    return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)


def keypoints(maps, boxes):
    """Best points (n, 17, 3) x, y px and score of heat maps (n, 17, 56, 56), enlarged to whole pixels of each box."""
    points = torch.zeros(*maps.shape[:2], 3)
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        width, height = max(x2 - x1, 1), max(y2 - y1, 1)
        size = math.ceil(height), math.ceil(width)
        large = F.interpolate(maps[i : i + 1], size=size, mode='bicubic', align_corners=False)[0]
        best, where = large.flatten(1).max(1)
        x, y = where % size[1] + 0.5, where // size[1] + 0.5
        score = (best - maps[i].flatten(1).logsumexp(1)).exp()
        points[i] = torch.stack([x * width / size[1] + x1, y * height / size[0] + y1, score], 1)
    return points
