"""Seesaw loss for long-tailed classes (arXiv:2008.10032)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdet.models.builder import LOSSES
from mmdet.models.losses.accuracy import accuracy
from mmdet.models.losses.cross_entropy_loss import cross_entropy
from mmdet.models.losses.utils import check_reduction, full_precision, weight_reduce_loss


def seesaw_ce_loss(
    cls_score: Tensor,
    labels: Tensor,
    label_weights: Tensor,
    cum_samples: Tensor,
    num_classes: int,
    p: float,
    q: float,
    eps: float,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """Cross entropy in which wrong classes push back less if they are rare, and more if they score high.

    Args:
        cls_score: logits (n, C).
        labels: classes (n,) in [0, C).
        label_weights: (n,).
        cum_samples: (C,) samples of each class seen so far.
        num_classes: C.
        p: strength of the factor for rare classes; 0: none.
        q: strength of the factor for high wrong scores; 0: none.
        eps: least probability that the latter divides by.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        avg_factor: divisor of the mean in place of n.
    """
    (cls_score,) = full_precision(cls_score)
    log_factor = torch.zeros_like(cls_score)  # of each wrong class
    if p > 0:
        # a class that was never seen counts as seen once: with a factor of 0 nothing would push its score down
        seen = cum_samples.clamp(min=1).log()
        # rarer classes than the sample's own are spared, commoner ones are not pushed harder: at most 0
        log_factor = log_factor + p * (seen[None, :] - seen[labels, None]).clamp(max=0)
    if q > 0:
        # the factor weighs what is learnt and is not itself a way to lower the loss: no gradient flows through it
        scores = F.softmax(cls_score.detach(), dim=1)
        ratio = scores / scores.gather(1, labels[:, None]).clamp(min=eps)
        # only classes that score higher than the right one are pushed harder
        log_factor = log_factor + q * ratio.clamp(min=1).log()
    # a factor on exp(logit) in the softmax's denominator is a term of the logit; the right class has none
    wrong = 1 - F.one_hot(labels, num_classes).to(cls_score)
    loss = F.cross_entropy(cls_score + log_factor * wrong, labels, reduction='none')
    return weight_reduce_loss(loss, label_weights.float(), reduction, avg_factor)


@LOSSES.register_module()
class SeesawLoss(nn.Module):
    """Seesaw loss over C classes beside an object/background decision: logits are (n, C + 2), the last two the latter.

    It counts the samples of each class (buffer ``cum_samples``) at every call.

    Args:
        use_sigmoid: must be False.
        p: see :func:`seesaw_ce_loss`.
        q: see :func:`seesaw_ce_loss`.
        num_classes: C.
        eps: see :func:`seesaw_ce_loss`.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor on the result.
        return_dict: give the two parts by name, and not their sum.

    Raises:
        ValueError: ``use_sigmoid`` is True, or an unknown reduction.
    """

    def __init__(
        self,
        use_sigmoid: bool = False,
        p: float = 0.8,
        q: float = 2.0,
        num_classes: int = 1203,
        eps: float = 1e-2,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        return_dict: bool = True,
    ) -> None:
        super().__init__()
        if use_sigmoid:
            raise ValueError('SeesawLoss: only use_sigmoid=False is there')
        self.use_sigmoid = False
        self.p = p
        self.q = q
        self.num_classes = num_classes
        self.eps = eps
        self.reduction = check_reduction(reduction, 'SeesawLoss')
        self.loss_weight = loss_weight
        self.return_dict = return_dict
        self.cls_criterion = seesaw_ce_loss
        self.cum_samples: Tensor
        self.register_buffer('cum_samples', torch.zeros(num_classes + 1))
        # what box heads ask a loss for: it says itself how many logits it needs and how to read them
        self.custom_cls_channels = True
        self.custom_activation = True
        self.custom_accuracy = True

    def _split_cls_score(self, cls_score: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (..., C + 2) -> classes (..., C) and object/background (..., 2).

        Raises:
            ValueError: another number of logits.
        """
        if cls_score.size(-1) != self.num_classes + 2:
            raise ValueError(f'SeesawLoss: expected {self.num_classes + 2} logits, got {cls_score.size(-1)}')
        return cls_score[..., :-2], cls_score[..., -2:]

    def get_cls_channels(self, num_classes: int) -> int:
        """Number of logits for ``num_classes`` classes.

        Raises:
            ValueError: the loss was built for another number of classes.
        """
        if num_classes != self.num_classes:
            raise ValueError(f'SeesawLoss was built for {self.num_classes} classes, the head has {num_classes}')
        return num_classes + 2

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """Logits (n, C + 2) -> probabilities (n, C + 1), background last."""
        classes, objectness = (logits.softmax(-1) for logits in self._split_cls_score(cls_score))
        # P(class) = P(class | object) * P(object): each softmax is of one of the two decisions
        return torch.cat([classes * objectness[..., [0]], objectness[..., [1]]], dim=-1)

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Per cent right: of object/background, and of the classes of the objects; labels (n,), background = C."""
        classes, objectness = self._split_cls_score(cls_score)
        is_object = labels < self.num_classes
        return dict(
            acc_objectness=accuracy(objectness, (labels == self.num_classes).long()),
            acc_classes=accuracy(classes[is_object], labels[is_object]),
        )

    def forward(
        self,
        cls_score: Tensor,
        labels: Tensor,
        label_weights: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
    ) -> dict[str, Tensor] | Tensor:
        """Loss of both decisions.

        Args:
            cls_score: logits (n, C + 2).
            labels: classes (n,), background = C.
            label_weights: (n,).
            avg_factor: divisor of both means.
            reduction_override: reduction of this call.

        Returns:
            ``loss_cls_objectness`` and ``loss_cls_classes`` (0 without objects), or their sum.

        Raises:
            ValueError: unknown reduction, or a wrong number of logits.
        """
        reduction = self.reduction if reduction_override is None else reduction_override
        classes, objectness = self._split_cls_score(cls_score)
        if label_weights is None:
            label_weights = torch.ones_like(labels, dtype=torch.float32)
        # counted before the loss reads them; background has the last place, which the classes do not read
        self._count(labels)
        is_object = labels < self.num_classes
        loss_classes = self.cls_criterion(
            classes[is_object],
            labels[is_object],
            label_weights[is_object],
            self.cum_samples[: self.num_classes],
            self.num_classes,
            self.p,
            self.q,
            self.eps,
            reduction,
            avg_factor,
        )
        is_background = (labels == self.num_classes).long()
        loss_objectness = cross_entropy(objectness, is_background, label_weights, reduction, avg_factor)
        loss_objectness, loss_classes = self.loss_weight * loss_objectness, self.loss_weight * loss_classes
        if not self.return_dict:
            return loss_objectness + loss_classes
        return dict(loss_cls_objectness=loss_objectness, loss_cls_classes=loss_classes)

    @torch.no_grad()
    def _count(self, labels: Tensor) -> None:
        self.cum_samples.index_add_(0, labels, torch.ones_like(labels, dtype=self.cum_samples.dtype))
