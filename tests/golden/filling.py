"""Parameter values and input batches that depend on names and seeds alone, never on the order of building.

The golden numbers were made with these values, so each draw below is part of the data: change none.
"""

import re
import zlib

import numpy as np
import torch


def parameter_values(name, shape, seed=0, gain=1.0, rules=(), is_buffer=False):
    """float32 values of the tensor ``name``, or None where it keeps what it has (counters and the like)."""
    rng = np.random.default_rng((zlib.crc32(name.encode()) ^ seed) & 0xFFFFFFFF)
    if is_buffer:
        if name.endswith('running_mean'):
            return (rng.standard_normal(shape) * 0.02).astype(np.float32)
        if name.endswith('running_var'):
            return (0.5 + rng.random(shape)).astype(np.float32)
        return None
    values = rng.standard_normal(shape)
    if name.endswith('bias'):
        values = values * 0.02
    elif len(shape) >= 2:
        values = values * np.sqrt(gain / max(1, int(np.prod(shape[1:]))))
    else:
        values = 1.0 + values * 0.05
    for pattern, factor in rules:
        if re.search(pattern, name):
            values = apply_factor(values, factor)
    return np.asarray(values, np.float32)


def apply_factor(values, factor):
    """A number multiplies; ``dict(abs, scale, offset)`` maps value -> |value| * scale + offset."""
    if not isinstance(factor, dict):
        return values * factor
    values = np.abs(values) if factor.get('abs') else values
    return values * factor.get('scale', 1.0) + factor.get('offset', 0.0)


_drawn = {}  # values of parameters by all that they depend on
MOST_DRAWN = 70_000_000  # values that are kept, 280 MB


def drawn_values(name, shape, seed, gain, rules):
    """:func:`parameter_values` of a parameter; the last ones are kept, as most detectors have the same backbone."""
    factors = [(pattern, factor) for pattern, factor in rules if re.search(pattern, name)]
    key = (name, shape, seed, gain, repr(factors))
    values = _drawn.pop(key) if key in _drawn else parameter_values(name, shape, seed, gain, factors)
    while _drawn and sum(kept.size for kept in _drawn.values()) + values.size > MOST_DRAWN:
        _drawn.pop(next(iter(_drawn)))
    _drawn[key] = values
    return values


def fill_module(module, seed=0, gain=1.0, rules=(), prefix=''):
    """Fill all floating parameters and running statistics of a module in place, and give it back."""
    params, buffers = list(module.named_parameters()), list(module.named_buffers())
    with torch.no_grad():
        for position, (name, tensor) in enumerate(params + buffers):
            if not torch.is_floating_point(tensor):
                continue
            if position < len(params):
                values = drawn_values(prefix + name, tuple(tensor.shape), seed, gain, rules)
            else:
                values = parameter_values(prefix + name, tuple(tensor.shape), seed, is_buffer=True)
            if values is not None:
                tensor.copy_(torch.from_numpy(values).reshape(tensor.shape))
    return module


def fill_buffers(module, seed=0):
    """Fill the running statistics alone: a training pass changes them, and no parameter."""
    with torch.no_grad():
        for name, tensor in module.named_buffers():
            values = parameter_values(name, tuple(tensor.shape), seed, is_buffer=True)
            if values is not None:
                tensor.copy_(torch.from_numpy(values))
    return module


def smooth_map(rng, height, width, cells=6):
    """(height, width): a coarse normal grid, stretched linearly along each axis."""
    coarse, grid = rng.standard_normal((cells, cells)), np.arange(cells)
    ys, xs = np.linspace(0, cells - 1, height), np.linspace(0, cells - 1, width)
    wide = np.stack([np.interp(xs, grid, row) for row in coarse])
    return np.stack([np.interp(ys, grid, column) for column in wide.T], axis=1)


def random_boxes(rng, count, height, width, min_size=8.0, low=0.15, high=0.6):
    """(count, 4) float32 boxes inside the image, sides a share ``low`` .. ``high`` of the image's."""
    box_w = np.maximum(min_size, rng.uniform(low, high, count) * width)
    box_h = np.maximum(min_size, rng.uniform(low, high, count) * height)
    x1 = rng.uniform(0, 1, count) * (width - box_w)
    y1 = rng.uniform(0, 1, count) * (height - box_h)
    return np.round(np.stack([x1, y1, x1 + box_w, y1 + box_h], 1), 2).astype(np.float32).reshape(-1, 4)


def ellipse_masks(boxes, height, width):
    """(n, height, width) uint8: the ellipse inscribed in each box."""
    ys, xs = np.mgrid[0:height, 0:width]
    x1, y1, x2, y2 = (boxes[:, i, None, None] for i in range(4))
    rx, ry = np.maximum((x2 - x1) / 2, 0.5), np.maximum((y2 - y1) / 2, 0.5)
    inside = ((xs + 0.5 - (x1 + x2) / 2) / rx) ** 2 + ((ys + 0.5 - (y1 + y2) / 2) / ry) ** 2 <= 1
    return inside.astype(np.uint8)


def image_meta(seed, index, shape_hw, canvas_hw, scale):
    """The ``img_metas`` entry of one made image."""
    height, width = shape_hw
    name = f'made_{seed}_{index}.png'
    return dict(
        filename=name,
        ori_filename=name,
        ori_shape=(int(round(height / scale)), int(round(width / scale)), 3),
        img_shape=(height, width, 3),
        pad_shape=(*canvas_hw, 3),
        batch_input_shape=canvas_hw,
        scale_factor=np.array([scale] * 4, np.float32),
        flip=False,
        flip_direction=None,
        border=np.array([0, height, 0, width], np.float32),
        img_norm_cfg=dict(mean=np.zeros(3, np.float32), std=np.ones(3, np.float32), to_rgb=False),
    )


def make_batch(
    seed,
    n=2,
    h=128,
    w=160,
    num_classes=80,
    boxes_per_image=3,
    empty=(),
    scale=1.0,
    low=0.15,
    high=0.6,
    with_semantic=0,
    stride=8,
    **unused,
):
    """A batch of made images with boxes, labels, masks and ignored boxes; the last image is smaller than the canvas."""
    rng = np.random.default_rng(1000003 + seed)
    images = np.zeros((n, 3, h, w), np.float32)
    batch = dict(img_metas=[], gt_bboxes=[], gt_labels=[], gt_masks=[], gt_bboxes_ignore=[])
    for i in range(n):
        ih, iw = (h - 8, w - 16) if (i == n - 1 and n > 1) else (h, w)
        for channel in range(3):
            images[i, channel, :ih, :iw] = smooth_map(rng, ih, iw) + 0.4 * rng.standard_normal((ih, iw))
        count = 0 if i in tuple(empty) else boxes_per_image + i % 2
        boxes = random_boxes(rng, count, ih, iw, low=low, high=high)
        labels = rng.integers(0, num_classes, count).astype(np.int64)
        for x1, y1, x2, y2 in np.round(boxes).astype(int):
            images[i, :, y1:y2, x1:x2] += rng.standard_normal((3, 1, 1)).astype(np.float32)
        rng.random((count, 17)), rng.random((count, 17)), rng.integers(0, 3, (count, 17))  # key points, unused here
        batch['gt_bboxes'].append(torch.from_numpy(boxes))
        batch['gt_labels'].append(torch.from_numpy(labels))
        batch['gt_masks'].append(ellipse_masks(boxes, h, w))
        batch['gt_bboxes_ignore'].append(torch.from_numpy(random_boxes(rng, 1, ih, iw)))
        batch['img_metas'].append(image_meta(seed, i, (ih, iw), (h, w), scale))
    batch['img'] = torch.from_numpy(images)
    if with_semantic:
        maps = [semantic_map(rng, h // stride, w // stride, with_semantic) for _ in range(n)]
        batch['gt_semantic_seg'] = torch.from_numpy(np.stack(maps)[:, None])
    return batch


def semantic_map(rng, height, width, num_classes):
    """(height, width) int64: the highest of at most five smooth maps, spread over the classes."""
    layers = [smooth_map(rng, height, width) for _ in range(min(num_classes, 5))]
    return np.argmax(np.stack(layers), axis=0).astype(np.int64) * max(1, num_classes // 5)
