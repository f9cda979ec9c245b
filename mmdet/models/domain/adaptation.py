"""What a two-stage detector needs to adapt to another domain, attached by ``train_cfg.domain``."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.progress_schedule import ProgressSchedule, checked_schedule
from mmdet.models.builder import HEADS, build_head
from mmdet.models.domain.domain_losses import (
    consistency_loss,
    image_domain_accuracy,
    image_domain_loss,
    inside_images,
    instance_domain_accuracy,
    instance_domain_loss,
)
from mmdet.models.roi_heads.functional.grad_reversal import reverse_gradient

Pool = Callable[[Sequence[Tensor], Tensor], Tensor]


class DomainBatch(NamedTuple):
    """A batch of N images as the domain classifiers see it."""

    levels: list[Tensor]  # the chosen feature maps, L times (N, C, h, w)
    roi_feats: Tensor | None  # (n, C, h, w); None without a classifier of RoIs
    image_of_roi: Tensor | None  # (n,) int64 in [0, N)
    inside: list[Tensor]  # L times (N, h, w) bool, not padding
    domains: Tensor  # (N,) int64, 0 or 1


@HEADS.register_module()
class DomainAdaptation(BaseModule):
    """Domain classifiers behind a gradient reversal, and the consistency between them (Chen et al. 2018).

    The classifiers learn to tell the domains apart; what lies before them gets their gradient times ``-strength`` and
    learns to make them fail. The consistency loss pulls the two classifiers' answers together; its gradient reaches the
    features times ``+strength``. A detector builds it from ``train_cfg.domain`` and uses it in training only.

    Args:
        image: config of the classifier of feature maps (:class:`ImageDomainHead`); None: there is none.
        instance: config of the classifier of RoIs (:class:`InstanceDomainHead`); None: there is none.
        consistency_weight: factor of the consistency loss; 0: there is none.
        reversal: fields of :class:`ProgressSchedule`, in fractions of the training; by default the sigmoid ramp to 1.
        levels: numbers of the feature maps that the image classifier sees; None: all.
        num_rois: best proposals of each image that the RoI classifier sees.
        meta_key: entry of ``img_metas`` with the number of the domain.

    Attributes:
        progress: fraction of the training that is done, in [0, 1]; ``SetProgressHook`` tells it.

    Raises:
        ValueError: neither classifier, or a consistency loss without both.
    """

    def __init__(
        self,
        image: dict | None = None,
        instance: dict | None = None,
        consistency_weight: float = 0.0,
        reversal: dict | None = None,
        levels: Sequence[int] | None = None,
        num_rois: int = 128,
        meta_key: str = 'domain',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if image is None and instance is None:
            raise ValueError('train_cfg.domain: name at least one classifier, image=dict(...) or instance=dict(...)')
        if consistency_weight and (image is None or instance is None):
            raise ValueError('train_cfg.domain: consistency_weight needs both classifiers, image and instance')
        self.image_head = None if image is None else build_head({'type': 'ImageDomainHead', **image})
        self.instance_head = None if instance is None else build_head({'type': 'InstanceDomainHead', **instance})
        self.consistency_weight = consistency_weight
        self.reversal: ProgressSchedule = checked_schedule(
            'train_cfg.domain.reversal', **(dict(policy='sigmoid') if reversal is None else reversal)
        )
        self.levels = None if levels is None else tuple(levels)
        self.num_rois = num_rois
        self.meta_key = meta_key
        self.progress = 0.0

    def set_progress(self, progress: float) -> None:
        """Say which fraction of the training is done, in [0, 1]."""
        self.progress = progress

    @property
    def strength(self) -> float:
        """Strength of the reversal now."""
        return self.reversal.at(self.progress)

    def forward(
        self, feats: Sequence[Tensor], proposals: Sequence[Tensor], img_metas: Sequence[ImgMeta], pool: Pool
    ) -> dict[str, Tensor]:
        """Losses and accuracies of a batch of N images.

        Args:
            feats: feature maps (N, C, h, w).
            proposals: N times (n_i, 4 or 5) px, the best first.
            img_metas: have ``img_shape``, ``batch_input_shape`` and the number of the domain.
            pool: feature maps and RoIs (n, 5) -> their pooled features (n, C, h, w).

        Returns:
            Of the parts that there are: ``loss_domain_image``, ``acc_domain_image``, ``loss_domain_instance``,
            ``acc_domain_instance``, ``loss_domain_consistency``; and ``domain_reversal``, the strength.

        Raises:
            KeyError: an image has no domain.
            ValueError: it is neither 0 nor 1, or there is no such feature map.
        """
        batch = self._batch(feats, proposals, img_metas, pool)
        strength = self.strength
        losses = {}
        if self.image_head is not None:
            logits = self.image_head([reverse_gradient(level, strength) for level in batch.levels])
            loss = image_domain_loss(logits, batch.inside, batch.domains)
            losses['loss_domain_image'] = loss * self.image_head.loss_weight
            losses['acc_domain_image'] = image_domain_accuracy(logits, batch.inside, batch.domains)
        if self.instance_head is not None:
            logits = self.instance_head(reverse_gradient(batch.roi_feats, strength))
            loss = instance_domain_loss(logits, batch.image_of_roi, batch.domains)
            losses['loss_domain_instance'] = loss * self.instance_head.loss_weight
            losses['acc_domain_instance'] = instance_domain_accuracy(logits, batch.image_of_roi, batch.domains)
        if self.consistency_weight:
            losses['loss_domain_consistency'] = self._consistency(batch, strength) * self.consistency_weight
        losses['domain_reversal'] = feats[0].new_tensor(strength)
        return losses

    def _batch(
        self, feats: Sequence[Tensor], proposals: Sequence[Tensor], img_metas: Sequence[ImgMeta], pool: Pool
    ) -> DomainBatch:
        levels = list(feats) if self.levels is None else [_level(feats, i) for i in self.levels]
        shapes = [meta['img_shape'] for meta in img_metas]
        whole = img_metas[0]['batch_input_shape']
        inside = [inside_images(shapes, whole, level.shape[-2:], level.device) for level in levels]
        domains = torch.tensor([domain_of(meta, self.meta_key) for meta in img_metas], device=levels[0].device)
        if self.instance_head is None:
            return DomainBatch(levels, None, None, inside, domains)
        rois = bbox2roi([boxes[: self.num_rois, :4].detach() for boxes in proposals])
        return DomainBatch(levels, pool(feats, rois), rois[:, 0].long(), inside, domains)

    def _consistency(self, batch: DomainBatch, strength: float) -> Tensor:
        """The consistency loss; features are to agree, not to differ, so their gradient is not reversed."""
        image_logits = self.image_head([reverse_gradient(level, -strength) for level in batch.levels])
        roi_logits = self.instance_head(reverse_gradient(batch.roi_feats, -strength))
        return consistency_loss(image_logits, batch.inside, roi_logits, batch.image_of_roi)


def _level(feats: Sequence[Tensor], number: int) -> Tensor:
    if not -len(feats) <= number < len(feats):
        raise ValueError(f'train_cfg.domain.levels: there is no feature map {number}, only {len(feats)} of them')
    return feats[number]


def domain_of(img_meta: ImgMeta, key: str = 'domain') -> int:
    """The number of an image's domain.

    Raises:
        KeyError: it has none.
        ValueError: it is neither 0 nor 1.
    """
    if key not in img_meta:
        raise KeyError(
            f'img_metas have no {key!r}, which train_cfg.domain needs; they have {sorted(img_meta)}. End the pipeline '
            f"of each data set with dict(type='AddFieldToImgMetas', fields=[{key!r}], values=[0]) or values=[1], or "
            "that of a data set without annotations with dict(type='MarkUnlabelled', domain=1)"
        )
    value = img_meta[key]
    if isinstance(value, str) or value not in (0, 1):
        raise ValueError(f'img_metas[{key!r}]: expected 0 (source) or 1 (target), got {value!r}')
    return int(value)
