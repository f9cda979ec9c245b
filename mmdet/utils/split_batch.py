"""Splitting a batch by the tag of its images (semi-supervised training)."""

from typing import Any

import torch
from torch import Tensor


def split_batch(img: Tensor, img_metas: list[dict[str, Any]], kwargs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Divide a batch into one batch per tag.

    Args:
        img: (N, C, H, W).
        img_metas: N dicts.
        kwargs: other inputs of the batch, lists of N or tensors with N rows; ``kwargs['tag']`` has the N tags.

    Returns:
        tag -> dict of ``img``, ``img_metas`` and the other inputs, each with that tag's images only.
    """
    tags = kwargs['tag']
    fields = dict(kwargs, img=img, img_metas=img_metas)
    rows = {tag: [i for i, other in enumerate(tags) if other == tag] for tag in dict.fromkeys(tags)}
    return {tag: {name: _select(value, index) for name, value in fields.items()} for tag, index in rows.items()}


def _select(value: Any, index: list[int]) -> Any:
    if isinstance(value, Tensor):
        return value[torch.tensor(index, device=value.device)]
    return [value[i] for i in index] if isinstance(value, (list, tuple)) else value
