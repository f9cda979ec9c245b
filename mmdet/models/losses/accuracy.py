"""Percentage of right classes."""

from typing import overload

from torch import Tensor, nn

from mmdet.models.losses.utils import full_precision


@overload
def accuracy(pred: Tensor, target: Tensor, topk: int = 1, thresh: float | None = None) -> Tensor: ...


@overload
def accuracy(pred: Tensor, target: Tensor, topk: tuple[int, ...], thresh: float | None = None) -> list[Tensor]: ...


def accuracy(
    pred: Tensor, target: Tensor, topk: int | tuple[int, ...] = 1, thresh: float | None = None
) -> Tensor | list[Tensor]:
    """Per cent of samples whose class is among the ``k`` best scores.

    Args:
        pred: scores (n, C).
        target: classes (n,).
        topk: one k or several.
        thresh: a score counts only if it is greater.

    Returns:
        A tensor (1,) in [0, 100], or a scalar 0 where n is 0; a list of these where ``topk`` is a tuple.

    Raises:
        TypeError: ``topk`` is neither an integer nor a tuple.
        ValueError: ``pred`` and ``target`` do not fit, or k exceeds C.
    """
    if not isinstance(topk, (int, tuple)):
        raise TypeError(f'accuracy: topk must be an integer or a tuple of integers, got {topk!r}')
    ks = (topk,) if isinstance(topk, int) else topk
    if pred.ndim != 2 or target.ndim != 1 or len(pred) != len(target) or max(ks) > pred.size(1):
        raise ValueError(
            f'accuracy: expected scores (n, C) and classes (n,) with C >= {max(ks)}, '
            f'got {tuple(pred.shape)} and {tuple(target.shape)}'
        )
    (pred,) = full_precision(pred)
    values, labels = pred.topk(max(ks), dim=1)
    correct = labels == target[:, None]
    if thresh is not None:
        correct &= values > thresh
    fractions = (
        [correct[:, :k].sum().to(pred).reshape(1) * (100.0 / len(pred)) for k in ks]
        if len(pred)
        else [pred.new_zeros(()) for _ in ks]
    )
    return fractions[0] if isinstance(topk, int) else fractions


class Accuracy(nn.Module):
    """:func:`accuracy` as a module; arguments as there."""

    def __init__(self, topk: int | tuple[int, ...] = (1,), thresh: float | None = None) -> None:
        super().__init__()
        self.topk = topk
        self.thresh = thresh

    def forward(self, pred: Tensor, target: Tensor) -> Tensor | list[Tensor]:
        """Scores (n, C) and classes (n,) -> per cent."""
        return accuracy(pred, target, self.topk, self.thresh)
