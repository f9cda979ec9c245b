"""Splitting a batch by the tag of its images (semi-supervised training)."""

from typing import Any

import torch
from torch import Tensor


def split_batch(img: Tensor, img_metas: list[dict[str, Any]], kwargs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Divide a batch into one batch per tag.

    Args:
        img: (N, C, H, W).
        img_metas: N dicts; ``tag`` of each is its tag.
        kwargs: other inputs of the batch, lists of N or tensors with N rows.

    Returns:
        tag -> dict of ``img``, ``img_metas`` and the other inputs, each with that tag's images only.

    Raises:
        KeyError: an image has no tag.
    """
    without = [meta.get('ori_filename', i) for i, meta in enumerate(img_metas) if 'tag' not in meta]
    if without:
        raise KeyError(f"the meta information of {without} has no 'tag'; Collect's meta_keys must name it")
    tags = [meta['tag'] for meta in img_metas]
    fields = {name: value for name, value in kwargs.items() if name != 'tag'}
    fields.update(img=img, img_metas=img_metas)
    rows = {tag: [i for i, other in enumerate(tags) if other == tag] for tag in dict.fromkeys(tags)}
    return {tag: {name: _select(value, index) for name, value in fields.items()} for tag, index in rows.items()}


def _select(value: Any, index: list[int]) -> Any:
    if isinstance(value, Tensor):
        return value[torch.tensor(index, device=value.device)]
    return [value[i] for i in index] if isinstance(value, (list, tuple)) else value
