"""Distillation of a teacher's scores (arXiv:1503.02531)."""

import torch.nn.functional as F
from torch import Tensor

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import ReducedLoss, check_same_shape, weighted_loss


@weighted_loss
def knowledge_distillation_kl_div_loss(
    pred: Tensor, soft_label: Tensor, T: float, detach_target: bool = True
) -> Tensor:
    """Kullback-Leibler divergence of two softmaxes at temperature ``T``, times T**2, averaged over the classes.

    Args:
        pred: the student's logits (n, C).
        soft_label: the teacher's logits (n, C).
        T: temperature.
        detach_target: no gradient to the teacher.

    Returns:
        (n,).

    Raises:
        ValueError: the shapes differ.
    """
    check_same_shape(pred, soft_label, 'knowledge distillation')
    teacher = F.softmax(soft_label.to(pred.dtype) / T, dim=1)
    if detach_target:
        teacher = teacher.detach()
    return F.kl_div(F.log_softmax(pred / T, dim=1), teacher, reduction='none').mean(1) * (T * T)


@LOSSES.register_module()
class KnowledgeDistillationKLDivLoss(ReducedLoss):
    """:func:`knowledge_distillation_kl_div_loss` of logits (n, C) and (n, C).

    Args:
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor on the result.
        T: temperature, at least 1.

    Raises:
        ValueError: ``T`` is below 1.
    """

    def __init__(self, reduction: str = 'mean', loss_weight: float = 1.0, T: float = 10) -> None:
        super().__init__(reduction, loss_weight)
        if T < 1:
            raise ValueError(f'KnowledgeDistillationKLDivLoss: the temperature T must be at least 1, got {T}')
        self.T = T

    def forward(
        self,
        pred: Tensor,
        soft_label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Student's and teacher's logits (n, C), weights (n,); see :class:`ReducedLoss`."""
        return super().forward(pred, soft_label, weight, avg_factor, reduction_override)

    def compute(self, pred: Tensor, target: Tensor, **kwargs) -> Tensor:
        return knowledge_distillation_kl_div_loss(pred, target, T=self.T, **kwargs)
