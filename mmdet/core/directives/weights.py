"""Loss weights of images, and of their objects, which travel beside the directives of their image."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmdet.core.directives.keys import OBJECT_WEIGHTS, loss_weight_key


def loss_weight(img_meta: Mapping[str, Any] | None, heads: Sequence[str]) -> float:
    """Weight of one image in the losses of a head.

    Args:
        img_meta: meta information of one image; None or an empty dict means no directive.
        heads: the heads whose weight counts; the first that the image has.

    Returns:
        Finite and >= 0; 1.0 where nothing is set.

    Raises:
        TypeError: ``heads`` is one name.
        ValueError: the value is negative, not finite or not a number.
    """
    if isinstance(heads, str):
        raise TypeError(f'heads: expected a list of names, got {heads!r}')
    found = first_entry(img_meta, list(map(loss_weight_key, heads)))
    return 1.0 if found is None else check_loss_weight(*found)


def first_entry(img_meta: Mapping[str, Any] | None, keys: Sequence[str]) -> tuple[str, Any] | None:
    """The first of the keys that an image has, and its value; None: it has none of them."""
    return next(((key, img_meta[key]) for key in keys if key in img_meta), None) if img_meta else None


def check_loss_weight(key: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        ValueError: it is no number (a bool counts as none), not finite or negative.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ValueError(f'{key}: expected a finite number >= 0, got {value!r}')
    return float(value)


def with_object_weights(
    img_metas: Sequence[Mapping[str, Any]], gt_weights: Sequence[Tensor], gt_bboxes: Sequence[Tensor] | None
) -> list[dict[str, Any]]:
    """Copies of the meta information of N images that carry the weights of their objects.

    Args:
        img_metas: of the N images.
        gt_weights: N times (G,), finite and >= 0: weight of an object in all losses; or (G, 2): that in the
            classification and that in the losses of boxes, masks and keypoints.
        gt_bboxes: N times (G, 4); None: their number is not checked.

    Raises:
        ValueError: there is not one weight, or pair of weights, for each object.
    """
    sizes = [None] * len(gt_weights) if gt_bboxes is None else list(map(len, gt_bboxes))
    if not len(gt_weights) == len(img_metas) == len(sizes):
        raise ValueError(f'gt_weights: expected those of {len(img_metas)} images, got {len(gt_weights)}')
    for i, (weights, size) in enumerate(zip(gt_weights, sizes)):
        if weights.ndim not in (1, 2) or weights.shape[1:] not in ((), (2,)) or size not in (None, len(weights)):
            name = img_metas[i].get('filename', '')
            raise ValueError(
                f'gt_weights of image {i} {name}: expected shape ({"G" if size is None else size},) or '
                f'({"G" if size is None else size}, 2), one row for each object, got {tuple(weights.shape)}'
            )
    return [{**meta, OBJECT_WEIGHTS: weights} for meta, weights in zip(img_metas, gt_weights)]


def object_weights(img_metas: Sequence[Mapping[str, Any]] | None, device: torch.device) -> Tensor | None:
    """(N, G, 2) weights of the objects in classification and in other losses, 1 where rows fill up; None: none has."""
    found = [meta.get(OBJECT_WEIGHTS) for meta in img_metas or ()]
    if all(weights is None for weights in found):
        return None
    nothing = torch.ones(1, 2, device=device)  # keeps G >= 1
    pairs = [nothing if w is None else w.to(device, torch.float32, non_blocking=True) for w in found]
    pairs = [w[:, None].expand(-1, 2) if w.ndim == 1 else w for w in pairs]
    return pad_sequence([*pairs, nothing], batch_first=True, padding_value=1.0)[:-1]
