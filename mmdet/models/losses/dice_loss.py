"""Dice loss of masks (V-Net, arXiv:1606.04797)."""

from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, full_precision, weight_reduce_loss


def dice_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    eps: float = 1e-3,
    reduction: str = 'mean',
    naive_dice: bool = False,
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """1 - Dice coefficient of each of n masks.

    Args:
        pred: probabilities (n, ...).
        target: same shape, 0/1.
        weight: (n,).
        eps: keeps the quotient finite for empty masks.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        naive_dice: divide by the sums (as the plain coefficient does) and not by the sums of squares.
        avg_factor: divisor of the mean in place of n.

    Raises:
        ValueError: there is not one weight a mask, or the reduction does not fit.
    """
    pred = full_precision(pred)[0].flatten(1)
    target = target.flatten(1).to(pred.dtype)
    inter = (pred * target).sum(1)
    if naive_dice:
        # above as below: two empty masks agree
        dice = (2 * inter + eps) / (pred.sum(1) + target.sum(1) + eps)
    else:
        dice = 2 * inter / (pred.square().sum(1) + target.square().sum(1) + 2 * eps)
    if weight is not None and weight.shape != dice.shape:
        raise ValueError(f'dice_loss: expected weights {tuple(dice.shape)}, got {tuple(weight.shape)}')
    return weight_reduce_loss(1 - dice, weight, reduction, avg_factor)


@LOSSES.register_module()
class DiceLoss(ReducedLoss):
    """:func:`dice_loss` of n masks of any one shape.

    Args:
        use_sigmoid: how ``activate`` is done; must be True for it.
        activate: predictions are logits and go through a sigmoid first.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        naive_dice: see :func:`dice_loss`.
        loss_weight: factor on the result.
        eps: see :func:`dice_loss`.

    Raises:
        NotImplementedError: ``activate`` without ``use_sigmoid``.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        activate: bool = True,
        reduction: str = 'mean',
        naive_dice: bool = False,
        loss_weight: float = 1.0,
        eps: float = 1e-3,
    ) -> None:
        super().__init__(reduction, loss_weight)
        if activate and not use_sigmoid:
            raise NotImplementedError('DiceLoss: activation by softmax is not there; use use_sigmoid=True')
        self.use_sigmoid = use_sigmoid
        self.activate = activate
        self.naive_dice = naive_dice
        self.eps = eps

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        reduction_override: str | None = None,
        avg_factor: float | Tensor | None = None,
    ) -> Tensor:
        """Masks (n, ...) and (n, ...), weights (n,); see :class:`ReducedLoss` (here in another order)."""
        return super().forward(pred, target, weight, avg_factor, reduction_override)

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        if self.activate:
            pred = full_precision(pred)[0].sigmoid()
        return dice_loss(pred, target, eps=self.eps, naive_dice=self.naive_dice, **kwargs)
