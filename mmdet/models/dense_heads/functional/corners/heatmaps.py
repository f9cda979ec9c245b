"""Heat maps of centres and corners: targets of a whole batch at once, weights as the images say, suppression.

N images, K classes, (h, w) cells of a map, G objects of the whole batch.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.core.utils.misc import images_of_rows
from mmdet.models.dense_heads.anchor_free_head import inside_objects
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.ops import batched_nms
from mmdet.utils.running.device_copy import tensor_like

MIN_PROBABILITY = 1e-6  # keeps the logits of probabilities finite


def gaussian_radii(sizes: Tensor, min_overlap: float) -> Tensor:
    """(G,) whole radii for boxes of height and width ``sizes`` (G, 2), in cells.

    As :func:`mmdet.models.utils.gaussian_target.gaussian_radius`, rounded down.
    """
    # double precision: for large boxes the roots below are differences of nearly equal numbers
    height, width = sizes.double().unbind(1)
    total, area, m = height + width, height * width, min_overlap
    # Three ways to be off by r and still overlap by m, each a quadratic in r. Both corners moved alike: (w - r)(h - r)
    # = 2 m / (1 + m) w h; both inwards: (w - 2r)(h - 2r) = m w h; both outwards: m (w + 2r)(h + 2r) = w h.
    same = (total - (total**2 - 4 * area * (1 - m) / (1 + m)).sqrt()) / 2
    inwards = (total - (total**2 - 4 * (1 - m) * area).sqrt()) / 4
    outwards = (-m * total + ((m * total) ** 2 + 4 * m * (1 - m) * area).sqrt()) / (4 * m)
    return torch.stack([same, inwards, outwards]).amin(0).clamp(min=0).long()


def draw_gaussians(num_maps: int, size: tuple[int, int], maps: Tensor, cells: Tensor, radii: Tensor) -> Tensor:
    """Maps (num_maps, h, w) of Gaussians, 1 at their centres; where several meet, the greatest counts.

    Args:
        num_maps: number of maps.
        size: (h, w).
        maps: (G,) number of each Gaussian's map.
        cells: (G, 2) column and row of each centre.
        radii: (G,) half the side of each Gaussian's square, in cells; its sigma is a sixth of the side.
    """
    rows, columns = (torch.arange(side, device=cells.device) for side in size)
    dy, dx = rows - cells[:, 1:], columns - cells[:, :1]  # (G, h), (G, w)
    within = (dy.abs() <= radii[:, None])[:, :, None] & (dx.abs() <= radii[:, None])[:, None]
    square = (dy**2)[:, :, None] + (dx**2)[:, None]
    sigma = (2 * radii + 1)[:, None, None] / 6
    bumps = (-square / (2 * sigma**2)).exp()
    # what is below the rounding of the peak is 0, as in the targets that the published detectors learnt
    bumps = torch.where(within & (bumps >= torch.finfo(bumps.dtype).eps), bumps, 0.0)
    bumps = bumps.flatten(1)
    drawn = bumps.new_zeros(num_maps, math.prod(size)).scatter_reduce(0, maps[:, None].expand_as(bumps), bumps, 'amax')
    return drawn.view(num_maps, *size)


def write_cells(values: Tensor, images: Tensor, cells: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(N, D, h, w) zeros with the values (G, D) of objects in their cells; of several in one cell the last one stays.

    Args:
        values: (G, D).
        images: (G,) number of each object's image.
        cells: (G, 2) column and row.
        shape: (N, h, w).
    """
    num, height, width = shape
    places = (images * height + cells[:, 1]) * width + cells[:, 0]
    order = torch.arange(1, len(values) + 1, device=values.device)
    last = order.new_zeros(num * height * width).scatter_reduce(0, places, order, 'amax')
    written = functional.pad(values, (0, 0, 1, 0))[last]  # row 0 is that of cells without an object
    return written.view(num, height, width, -1).permute(0, 3, 1, 2)


def objects_in_cells(
    gt_bboxes: Sequence[Tensor], gt_labels: Sequence[Tensor], feat_shape: Sequence[int], img_shape: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (G, 4) in cells, labels (G,) and numbers of the images (G,) of all objects, image after image.

    Args:
        gt_bboxes: N times (G, 4) px.
        gt_labels: N times (G,).
        feat_shape: (N, K, h, w) of the maps.
        img_shape: (h, w[, c]) of the padded images, px.
    """
    boxes, (height, width) = torch.cat(list(gt_bboxes)), feat_shape[2:]
    boxes = boxes * tensor_like([width / img_shape[1], height / img_shape[0]] * 2, boxes)
    images = images_of_rows([len(own) for own in gt_bboxes], boxes.device)
    return boxes, torch.cat(list(gt_labels)), images


def heatmap_weights(
    head: BaseDenseHead,
    scores: Tensor,
    target: Tensor,
    gt_bboxes: Sequence[Tensor],
    img_metas: Sequence[ImgMeta],
    img_shape: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Weights of the classification and of the regression at the cells of heat maps, as the images say.

    A row is a cell; one with a target of 1 is a positive of that class, and any other a negative, be
    its target 0 or the slope of a Gaussian. To the policy that looks at overlaps, a cell whose middle lies inside an
    object overlaps it by 1 and any other by 0. A negative says nothing of unlabelled classes.

    Args:
        head: weighs the rows.
        scores: (N, K, h, w) probabilities.
        target: (N, K, h, w).
        gt_bboxes: N times (G, 4).
        img_metas: meta information of the N images.
        img_shape: (h, w[, c]) of the padded images, pixels.

    Returns:
        (N, 1, h, w) or, with unlabelled classes, (N, K, h, w); and (N, 1, h, w), 0 but for positives.
    """
    num, num_classes, height, width = target.shape
    peaks = target.eq(1)
    # as bytes, since torch has no argmax of bool; where two classes have their peaks in one cell, the first counts
    labels = torch.where(peaks.any(dim=1), peaks.byte().argmax(dim=1), num_classes).flatten(1)
    positive = (labels < num_classes).to(target)[..., None]
    rows = Targets(labels, torch.ones_like(positive[..., 0]), torch.zeros_like(positive), positive)
    middles = middles_of_cells((height, width), img_shape, target)
    rows = head.weigh(rows, list(img_metas), lambda i: inside_objects(middles, gt_bboxes[i]))
    of_classes, of_boxes = rows.label_weights, rows.bbox_weights.view(num, 1, height, width)
    probabilities = scores.flatten(2).transpose(1, 2)
    of_classes = probability_weights(head, probabilities, labels, of_classes, img_metas)
    return of_classes.transpose(1, 2).unflatten(2, (height, width)), of_boxes


def probability_weights(
    head: BaseDenseHead, scores: Tensor, labels: Tensor, label_weights: Tensor, img_metas: Sequence[ImgMeta]
) -> Tensor:
    """Weights (N, R, 1) or, with unlabelled classes, (N, R, K) of class probabilities: what negatives may say.

    As :meth:`BaseDenseHead.scores_for_loss`, for losses of probabilities instead of logits.

    Args:
        head: weighs the rows.
        scores: (N, R, K) probabilities.
        labels: (N, R) in [0, K], K for negatives.
        label_weights: (N, R).
        img_metas: meta information of the N images.
    """
    logits = scores.detach().logit(MIN_PROBABILITY)
    weights, unlabeled = head.objectness_weights(logits, labels, label_weights, img_metas)
    if unlabeled is None:
        return weights[..., None]
    return weights[..., None] * ~(unlabeled[:, None] & (labels == scores.size(2))[..., None])


def middles_of_cells(size: tuple[int, int], img_shape: Sequence[int], like: Tensor) -> Tensor:
    """(h * w, 2) x, y in pixels of the middles of the cells of a map of ``size`` (h, w) over the whole image."""
    ys, xs = ((torch.arange(n, device=like.device) + 0.5) * side / n for n, side in zip(size, img_shape))
    return torch.stack([xs.repeat(size[0]), ys.repeat_interleave(size[1])], dim=1).to(like)


def border_of(img_meta: ImgMeta) -> tuple[float, float]:
    """Pixels between the left and the upper side of the network's input and of the image in it.

    Raises:
        KeyError: the meta information does not tell.
    """
    if 'border' not in img_meta:
        raise KeyError(
            f"meta information of {img_meta.get('filename', 'an image')} lacks 'border', which RandomCenterCropPad "
            "writes: add 'border' to the meta_keys of Collect"
        )
    border: Any = img_meta['border']  # type: ignore[typeddict-item]
    return float(border[2]), float(border[0])


def suppress(bboxes: Tensor, labels: Tensor, cfg: Any) -> tuple[Tensor, Tensor]:
    """Boxes with scores (n, 5) and labels (n,) after suppression by ``cfg.nms``, ``cfg.max_per_img`` at most."""
    if not len(labels):
        return bboxes, labels
    dets, keep = batched_nms(bboxes[:, :4], bboxes[:, 4].contiguous(), labels, cfg.get('nms') or cfg.nms_cfg)
    limit = cfg.max_per_img if cfg.max_per_img > 0 else len(keep)
    return dets[:limit], labels[keep][:limit]
