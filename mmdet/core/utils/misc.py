"""Small helpers on lists of per-image or per-level tensors."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.targets import scatter_rows
from mmdet.utils.running.replaceable import replaceable

SELECTING_PAYS = 6  # with so many times more scores than topk, finding the topk-th score first is faster
_FLIP_DIMS = {'horizontal': (3,), 'vertical': (2,), 'diagonal': (2, 3)}


def multi_apply(func: Callable, *args: Iterable[Any], **kwargs: Any) -> tuple[Any, ...]:
    """Call ``func`` once for each tuple of items of ``args`` and regroup its outputs.

    Args:
        func: gives a tuple of K results.
        args: sequences, or tensors, of the same length N; the i-th call gets the i-th item of each.
        kwargs: given to every call.

    Returns:
        K lists of N results; an empty tuple where N is 0.
    """
    call = partial(func, **kwargs) if kwargs else func
    return tuple(map(list, zip(*map(call, *args))))


def names_parameter(function: Callable, name: str) -> bool:
    """Whether a function or method has a parameter of that name; what only ``**kwargs`` would take does not count."""
    return name in _parameters(getattr(function, '__func__', function))


def takes_any_keyword(function: Callable) -> bool:
    """Whether a function or method takes keywords that it does not name, ``**kwargs``."""
    kinds = _parameters(getattr(function, '__func__', function)).values()
    return inspect.Parameter.VAR_KEYWORD in kinds


@cache
def _parameters(function: Callable) -> dict[str, Any]:
    """Parameters of a function by name, and their kinds; looked at once for each function, not in each step."""
    return {p.name: p.kind for p in inspect.signature(function).parameters.values()}


def images_of_rows(counts: Sequence[int], device: torch.device) -> Tensor:
    """(R,) number of each row's image, where ``counts[i]`` rows are of image i and stand image after image."""
    images = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.long))
    return images.to(device, non_blocking=True)


def unmap(data: Tensor, count: int, inds: Tensor, fill: float = 0) -> Tensor:
    """The M rows of ``data`` as some of ``count`` rows, the others being ``fill``.

    Args:
        data: (M, ...).
        count: number of rows of the result.
        inds: (count,) mask with M true entries: where the rows of ``data`` go.
        fill: value of the other rows.
    """
    return scatter_rows(data, count, inds.nonzero().squeeze(1), fill)


def mask2ndarray(mask: Any) -> np.ndarray:
    """Masks of any kind (``BitmapMasks``, ``PolygonMasks``, tensor, array) as an (n, h, w) array.

    Raises:
        TypeError: ``mask`` is none of these.
    """
    if hasattr(mask, 'to_ndarray'):
        return mask.to_ndarray()
    if isinstance(mask, Tensor):
        return mask.detach().cpu().numpy()
    if isinstance(mask, np.ndarray):
        return mask
    raise TypeError(f'masks must be BitmapMasks, PolygonMasks, a tensor or an array, got {type(mask).__name__}')


def flip_tensor(src_tensor: Tensor, flip_direction: str) -> Tensor:
    """Flip maps (N, C, H, W) along ``'horizontal'`` (W), ``'vertical'`` (H) or ``'diagonal'`` (both).

    Raises:
        ValueError: the tensor has not four axes, or the direction is unknown.
    """
    if src_tensor.ndim != 4:
        raise ValueError(f'flip_tensor: expected a (N, C, H, W) tensor, got {tuple(src_tensor.shape)}')
    if flip_direction not in _FLIP_DIMS:
        raise ValueError(f'flip_tensor: direction must be one of {list(_FLIP_DIMS)}, got {flip_direction!r}')
    return torch.flip(src_tensor, _FLIP_DIMS[flip_direction])


def select_single_mlvl(mlvl_tensors: Sequence[Tensor], batch_id: int, detach: bool = True) -> list[Tensor]:
    """One image's maps, (C, H, W) a level, out of the batch's (N, C, H, W) a level; cut off the graph by default."""
    maps = [level[batch_id] for level in mlvl_tensors]
    return [level.detach() for level in maps] if detach else maps


@replaceable
def filter_scores_and_topk(
    scores: Tensor, score_thr: float, topk: int, results: Mapping | Sequence | Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, dict | list | Tensor | None]:
    """The best ``topk`` (box, class) pairs whose score is above ``score_thr``, best first.

    The order of equal scores is left open, as in torch's sort.

    Args:
        scores: (n, K) scores of n boxes.
        score_thr: a pair stays if its score is greater.
        topk: the greatest number of pairs.
        results: other values of the n boxes: a tensor (n, ...), or a dict or list of such.

    Returns:
        scores (k,), labels (k,), box indices (k,), and ``results`` of these boxes (in the form it was given).

    Raises:
        NotImplementedError: ``results`` is of another type.
    """
    flat = scores.flatten()
    selected = flat > score_thr
    # a GPU sorts faster than it tells how many there are to be sorted
    if flat.device.type == 'cpu' and 0 < SELECTING_PAYS * topk <= int(selected.sum()):
        selected &= flat >= flat.masked_fill(~selected, -torch.inf).topk(topk, sorted=False).values.amin()
    places = selected.nonzero().squeeze(1)
    picked, order = flat[places].sort(descending=True)
    picked, chosen = picked[:topk], places[order[:topk]]
    keep = chosen.div(scores.size(1), rounding_mode='floor')
    return picked, chosen % scores.size(1), keep, _take(results, keep)


def _take(results: Any, keep: Tensor) -> Any:
    if results is None:
        return None
    if isinstance(results, Tensor):
        return results[keep]
    if isinstance(results, Mapping):
        return {name: value[keep] for name, value in results.items()}
    if isinstance(results, list):
        return [value[keep] for value in results]
    raise NotImplementedError(f'results must be a tensor, a dict or a list of tensors, got {type(results).__name__}')


def center_of_mass(mask: Tensor, esp: float = 1e-6) -> tuple[Tensor, Tensor]:
    """Centre (y, x), in pixels, of a (h, w) mask or of any map of weights; (0, 0) where the mask is empty."""
    height, width = mask.shape
    ys = torch.arange(height, dtype=torch.float32, device=mask.device)
    xs = torch.arange(width, dtype=torch.float32, device=mask.device)
    total = mask.sum().float().clamp(min=esp)
    return (mask.sum(1) * ys).sum() / total, (mask.sum(0) * xs).sum() / total


def generate_coordinate(featmap_sizes: Sequence[int], device: str | torch.device = 'cuda') -> Tensor:
    """Maps (N, 2, H, W) of each cell's x and y, both from -1 to 1, for features of shape (N, C, H, W).

    The default device gives way to the CPU where there is no CUDA.
    """
    if torch.device(device).type == 'cuda' and not torch.cuda.is_available():
        device = 'cpu'
    num, height, width = featmap_sizes[0], featmap_sizes[-2], featmap_sizes[-1]
    xs = torch.linspace(-1, 1, width, device=device)
    ys = torch.linspace(-1, 1, height, device=device)
    grid = torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)])
    return grid.expand(num, -1, -1, -1).contiguous()
