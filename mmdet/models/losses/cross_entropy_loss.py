"""Cross entropy in three forms: one softmax, independent sigmoids, and one sigmoid mask of the right class."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, full_precision, weight_reduce_loss
from mmdet.utils.running.device_copy import to_device

_NO_INDEX = -100  # torch's own "no label is ignored"


def cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    class_weight: Tensor | None = None,
    ignore_index: int | None = _NO_INDEX,
    avg_non_ignore: bool = False,
) -> Tensor:
    """Cross entropy of a softmax over classes.

    Args:
        pred: logits (n, C), or (N, C, H, W).
        label: classes (n,), or (N, H, W).
        weight: factors in the shape of ``label``.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        avg_factor: divisor of the mean in place of the number of labels.
        class_weight: (C,).
        ignore_index: a label whose loss is 0; None: no such.
        avg_non_ignore: without ``avg_factor``, the mean is over the labels that are not ignored.

    Raises:
        ValueError: the reduction does not fit.
    """
    ignore_index = _NO_INDEX if ignore_index is None else ignore_index
    (pred,) = full_precision(pred)
    loss = F.cross_entropy(pred, label, weight=class_weight, reduction='none', ignore_index=ignore_index)
    if avg_factor is None and avg_non_ignore and reduction == 'mean':
        avg_factor = (label != ignore_index).sum()
    return weight_reduce_loss(loss, None if weight is None else weight.float(), reduction, avg_factor)


def _expand_onehot_labels(
    labels: Tensor, label_weights: Tensor | None, label_channels: int, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Classes (n,) as 0/1 (n, C), their weights (n, C) and which entries count (n, C).

    A class of C or more is background: a row of zeros that counts. A negative or the ignored class does not count.
    """
    classes = torch.arange(label_channels, device=labels.device)
    # background, C, counts and has no 1 in its row: each sigmoid learns to be low there
    counts = (labels >= 0) & (labels != ignore_index)
    onehot = ((labels[:, None] == classes) & counts[:, None]).long()
    valid = counts[:, None].expand(-1, label_channels).float()
    weights = valid if label_weights is None else label_weights[:, None] * valid
    return onehot, weights, valid


def binary_cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    class_weight: Tensor | None = None,
    ignore_index: int | None = _NO_INDEX,
    avg_non_ignore: bool = False,
) -> Tensor:
    """Cross entropy of independent yes/no decisions.

    Args:
        pred: logits (n, C), or (n, 1), or of any shape where ``label`` has the same.
        label: classes (n,), C and above being background; or 0/1 (or between) in the shape of ``pred``.
        weight: factors in the shape of ``label``.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        avg_factor: divisor of the mean in place of the number of elements.
        class_weight: (C,) factor on the positive part.
        ignore_index: a label whose loss is 0, like negative ones; None: only negative ones.
        avg_non_ignore: without ``avg_factor``, the mean is over the elements that are not ignored.

    Raises:
        ValueError: the reduction does not fit.
    """
    ignore_index = _NO_INDEX if ignore_index is None else ignore_index
    (pred,) = full_precision(pred)
    if pred.dim() != label.dim():
        label, weight, valid = _expand_onehot_labels(label, weight, pred.size(-1), ignore_index)
    else:
        valid = ((label >= 0) & (label != ignore_index)).float()
        weight = valid if weight is None else weight * valid
    # ignored entries of soft labels are computed and weighed with 0, so that shapes do not depend on the labels
    loss = F.binary_cross_entropy_with_logits(pred, label.to(pred.dtype), pos_weight=class_weight, reduction='none')
    if avg_factor is None and avg_non_ignore and reduction == 'mean':
        avg_factor = valid.sum()
    return weight_reduce_loss(loss, weight.float(), reduction, avg_factor)


def mask_cross_entropy(
    pred: Tensor,
    target: Tensor,
    label: Tensor,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    class_weight: Tensor | None = None,
    ignore_index: int | None = None,
    row_weights: Tensor | None = None,
    **kwargs,
) -> Tensor:
    """Mean binary cross entropy of the masks of the right classes.

    Args:
        pred: mask logits (n, C, h, w).
        target: 0/1 masks (n, h, w).
        label: (n,) whose of the C masks is compared.
        reduction: only ``'mean'``.
        avg_factor: must be None.
        class_weight: factors that broadcast against (n, h, w).
        ignore_index: must be None.
        row_weights: (n,) factor of each mask; the mean is over all of them, whatever their weights.
        kwargs: not used; so that the three forms can be called alike.

    Returns:
        (1,); 0 where n is 0.

    Raises:
        ValueError: an argument that this form does not have.
    """
    if reduction != 'mean' or avg_factor is not None or ignore_index is not None:
        raise ValueError(
            'mask_cross_entropy has only the plain mean; got '
            f'reduction={reduction!r}, avg_factor={avg_factor}, ignore_index={ignore_index}'
        )
    (pred,) = full_precision(pred)
    # the C masks do not compete: only that of the right class has a loss
    chosen = pred[torch.arange(len(pred), device=pred.device), label]
    loss = F.binary_cross_entropy_with_logits(chosen, target.to(pred.dtype), weight=class_weight, reduction='none')
    weights = None if row_weights is None else row_weights.view(-1, *[1] * (loss.ndim - 1))
    return weight_reduce_loss(loss, weights).reshape(1)


@LOSSES.register_module()
class CrossEntropyLoss(ReducedLoss):
    """:func:`cross_entropy`, :func:`binary_cross_entropy` or :func:`mask_cross_entropy`; shapes as there.

    Args:
        use_sigmoid: independent decisions in place of one softmax.
        use_mask: the mask form.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        class_weight: one factor for each class.
        ignore_index: a label whose loss is 0.
        loss_weight: factor on the result.
        avg_non_ignore: without ``avg_factor``, the mean is over what is not ignored.

    Raises:
        ValueError: ``use_sigmoid`` and ``use_mask`` together.
    """

    def __init__(
        self,
        use_sigmoid: bool = False,
        use_mask: bool = False,
        reduction: str = 'mean',
        class_weight: Sequence[float] | Tensor | None = None,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        avg_non_ignore: bool = False,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if use_sigmoid and use_mask:
            raise ValueError('CrossEntropyLoss: use_sigmoid and use_mask are two forms; choose one')
        self.use_sigmoid = use_sigmoid
        self.use_mask = use_mask
        self.class_weight = class_weight
        self.ignore_index = ignore_index
        self.avg_non_ignore = avg_non_ignore
        self.cls_criterion: Callable[..., Tensor]
        self.cls_criterion = binary_cross_entropy if use_sigmoid else mask_cross_entropy if use_mask else cross_entropy

    def extra_repr(self) -> str:
        return f'avg_non_ignore={self.avg_non_ignore}'

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
        **kwargs,
    ) -> Tensor:
        """Logits and labels (for masks: logits, masks, labels); ``ignore_index`` overrides the one of the loss."""
        class_weight = self.class_weight
        if class_weight is not None:
            # in the losses' own type: under autocast the scores are of half precision, and the weights would be rounded
            dtype = full_precision(cls_score)[0].dtype
            if isinstance(class_weight, Tensor):
                class_weight = class_weight.to(cls_score.device, dtype)
            else:
                class_weight = to_device(class_weight, dtype, cls_score.device)
        loss = self.cls_criterion(
            cls_score,
            label,
            weight,
            class_weight=class_weight,
            reduction=self._pick_reduction(reduction_override),
            avg_factor=avg_factor,
            ignore_index=self.ignore_index if ignore_index is None else ignore_index,
            avg_non_ignore=self.avg_non_ignore,
            **kwargs,
        )
        return self.loss_weight * loss
