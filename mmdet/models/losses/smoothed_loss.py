"""Classification loss against smoothed labels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, full_precision, reduce_loss, weight_reduce_loss

_LOSS_FUNCS = ('CrossEntropyLoss', 'MultiLabelSoftMarginLoss', 'BCEWithLogitsLoss')
_WEIGHTINGS = ('batch', 'sample')


def smooth_labels(label: Tensor, num_classes: int, smoothing: float, transform: Tensor | None = None) -> Tensor:
    """Classes (n,) -> distributions (n, C): ``1 - smoothing`` at the class, the rest spread over the others.

    Args:
        label: classes in [0, C).
        num_classes: C.
        smoothing: fraction of the other classes.
        transform: (C, C), multiplied from the right.
    """
    spread = torch.full((len(label), num_classes), smoothing / max(num_classes - 1, 1), device=label.device)
    spread = spread.scatter(1, label[:, None], 1 - smoothing)
    if transform is None:
        return spread
    with torch.autocast(label.device.type, enabled=False):  # it would multiply in half precision
        return spread @ transform.to(spread)


def soft_label_loss(
    pred: Tensor, soft_label: Tensor, loss_func: str = 'CrossEntropyLoss', class_weight: Tensor | None = None
) -> Tensor:
    """Loss (n,) of logits (n, C) against distributions (n, C).

    Args:
        pred: logits.
        soft_label: distributions.
        loss_func: ``'CrossEntropyLoss'`` (one softmax), or ``'MultiLabelSoftMarginLoss'`` or ``'BCEWithLogitsLoss'``
            (two names of the mean over C independent sigmoids).
        class_weight: (C,).
    """
    if loss_func == 'CrossEntropyLoss':
        loss = -soft_label * F.log_softmax(pred, dim=1)
        return (loss if class_weight is None else loss * class_weight).sum(1)
    loss = F.binary_cross_entropy_with_logits(pred, soft_label, reduction='none')
    return (loss if class_weight is None else loss * class_weight).mean(1)


@LOSSES.register_module()
class SmoothedLoss(ReducedLoss):
    """Loss of logits (n, C) against smoothed classes (n,).

    Args:
        smoothing: fraction of the label that goes to the other classes.
        smoothing_transform: (C, C) matrix that the distribution is multiplied by, from the right.
        use_sigmoid: must be False.
        use_mask: must be False.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        class_weight: one factor for each class.
        ignore_index: a label whose loss is 0.
        loss_func: see :func:`soft_label_loss`.
        loss_weight: factor on the result.
        weighting: what sample weights act on under ``'mean'`` and ``'sum'``. ``'sample'``: on each sample's loss, which
            is what per-image weights need. ``'batch'``, the default, keeps the numbers of earlier versions: on the
            loss of the whole batch, so that a weight counts all samples more, not its own. Equal weights and
            ``reduction='none'`` make no difference but in scale.

    Raises:
        ValueError: an argument has no such choice.
    """

    def __init__(
        self,
        smoothing: float = 0.1,
        smoothing_transform: Sequence[Sequence[float]] | None = None,
        use_sigmoid: bool = False,
        use_mask: bool = False,
        reduction: str = 'mean',
        class_weight: Sequence[float] | None = None,
        ignore_index: int | None = None,
        loss_func: str = 'CrossEntropyLoss',
        loss_weight: float = 1.0,
        weighting: str = 'batch',
    ) -> None:
        super().__init__(reduction, loss_weight)
        if use_sigmoid or use_mask:
            raise ValueError('SmoothedLoss: use_sigmoid and use_mask must be False; choose by loss_func')
        if loss_func not in _LOSS_FUNCS:
            raise ValueError(f'SmoothedLoss: loss_func must be one of {_LOSS_FUNCS}, got {loss_func!r}')
        if weighting not in _WEIGHTINGS:
            raise ValueError(f'SmoothedLoss: weighting must be one of {_WEIGHTINGS}, got {weighting!r}')
        self.smoothing = smoothing
        self.use_sigmoid = use_sigmoid
        self.use_mask = use_mask
        self.ignore_index = ignore_index
        self.loss_func = loss_func
        self.weighting = weighting
        self.smoothing_transform: Tensor | None
        self.class_weight: Tensor | None
        # not persistent: checkpoints of models with another loss keep their keys
        self.register_buffer('smoothing_transform', _square(smoothing_transform), persistent=False)
        weights = None if class_weight is None else torch.as_tensor(class_weight, dtype=torch.float32)
        self.register_buffer('class_weight', weights, persistent=False)

    def compute(
        self, pred: Tensor, target: Tensor, weight: Tensor | None, reduction: str, avg_factor: float | Tensor | None
    ) -> Tensor:
        (pred,) = full_precision(pred)
        num_classes = pred.size(1) if self.smoothing_transform is None else len(self.smoothing_transform)
        ignored = torch.zeros_like(target, dtype=torch.bool)
        if self.ignore_index is not None:
            ignored = target == self.ignore_index
        # an ignored label may be no class at all: any class in its place, as its loss is left out below
        soft = smooth_labels(target.masked_fill(ignored, 0), num_classes, self.smoothing, self.smoothing_transform)
        loss = soft_label_loss(pred, soft, self.loss_func, self.class_weight).masked_fill(ignored, 0)
        if self.weighting == 'batch':
            loss = reduce_loss(loss, reduction)
        return weight_reduce_loss(loss, weight, reduction, avg_factor)


def _square(matrix: Sequence[Sequence[float]] | Tensor | None) -> Tensor | None:
    if matrix is None:
        return None
    matrix = torch.as_tensor(matrix, dtype=torch.float32)
    if matrix.ndim != 2 or matrix.size(0) != matrix.size(1):
        raise ValueError(f'SmoothedLoss: smoothing_transform must be a square matrix, got {tuple(matrix.shape)}')
    return matrix
