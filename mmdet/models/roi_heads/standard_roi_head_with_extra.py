"""A RoI head with a second box head that learns another label, such as the domain an image comes from."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS, build_head
from mmdet.models.roi_heads.functional.extra_head_params import DEFAULTS, lambda_schedule, merge_params
from mmdet.models.roi_heads.functional.grad_reversal import reverse_gradient
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead, to_numpy
from mmdet.models.roi_heads.test_mixins import Features


@HEADS.register_module()
class StandardRoIHeadWithExtraBBoxHead(StandardRoIHead):
    """:class:`StandardRoIHead` with a second box head on the same RoI features, used in training only.

    The second head classifies each sampled box by its *extra label*: a positive has the extra label of its object
    (``gt_extra_labels``), a negative that of its image (``img_metas[i][name]``, ``name`` being
    ``img_metas[i]['extra_label_name']``). With the gradient reversal the features are trained to hide that label.

    Per-image loss weights do not reach the losses of the second head.

    Args:
        bbox_roi_extractor, bbox_head, mask_roi_extractor, mask_head, shared_head, train_cfg, test_cfg, pretrained,
            init_cfg: those of :class:`StandardRoIHead`.
        extra_bbox_head: the second head; its ``num_classes`` is the number of extra labels. None: there is none.
        extra_head_params: overrides :data:`extra_head_params.DEFAULTS` key by key.

    Attributes:
        last_grl_lambda: strength of the reversal in the last training pass.

    Raises:
        NameError, TypeError, ValueError: ``extra_head_params`` with an unknown key, another type or another length.
        ValueError: ``extra_bbox_head`` without ``num_classes``, or with less than 2.
    """

    def __init__(
        self,
        bbox_roi_extractor: dict | None = None,
        bbox_head: dict | None = None,
        extra_bbox_head: dict | None = None,
        extra_head_params: dict | None = None,
        mask_roi_extractor: dict | None = None,
        mask_head: dict | None = None,
        shared_head: dict | None = None,
        train_cfg: Any = None,
        test_cfg: Any = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            bbox_roi_extractor=bbox_roi_extractor,
            bbox_head=bbox_head,
            mask_roi_extractor=mask_roi_extractor,
            mask_head=mask_head,
            shared_head=shared_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )
        params = merge_params(DEFAULTS, extra_head_params, 'extra_head_params')
        self.extra_label_name = params['_extra_label']
        self.with_grad_reversal = params['with_grad_reversal']
        self.weight_of_negatives, self.weight_of_positives = params['image_instance_weight']
        self.default_lambda = params['lambda_params']['default_lambda']
        self.grl_schedule = lambda_schedule(params['lambda_params'])
        self.set_iter(params['lambda_params']['_curr_iter'])
        self.last_grl_lambda: float | None = None
        if extra_bbox_head is not None:
            self.init_extra_bbox_head(extra_bbox_head)

    @property
    def with_extra_bbox(self) -> bool:
        """Whether there is a second box head."""
        return self._has('extra_bbox_head')

    @property
    def extra_bbox_roi_extractor(self) -> torch.nn.Module:
        """The extractor that both box heads use."""
        return self.bbox_roi_extractor

    def init_extra_bbox_head(self, extra_bbox_head: dict) -> None:
        """Build the second head; it adds one output for background itself, so it is built with one class less."""
        num_labels = extra_bbox_head.get('num_classes')
        if num_labels is None or num_labels < 2:
            raise ValueError(
                f'extra_bbox_head: num_classes must be the number of extra labels, at least 2, got {num_labels}'
            )
        self.extra_bbox_head = build_head(dict(extra_bbox_head, num_classes=num_labels - 1))

    def set_iter(self, iteration: int) -> None:
        """Say how many training passes are done; a resumed training calls it once, with the runner's iteration."""
        self._curr_iter = iteration

    def calc_grl_lambda(self) -> float:
        """Strength of the reversal; in training mode each call counts as one iteration of the schedule."""
        if self.default_lambda is not None:
            return self.default_lambda
        if self.training:
            self._curr_iter += 1
        return self.grl_schedule.at(self.grl_schedule.epoch(self._curr_iter))

    def forward_train(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposal_list: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list[Any] | None = None,
        gt_extra_labels: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch of N images; see :meth:`StandardRoIHead.forward_train`.

        Args:
            gt_extra_labels: N times (g_i,), the extra label of each object, in ``[0, number of extra labels)``.

        Returns:
            Also ``loss_extra_cls`` and ``loss_extra_bbox``.

        Raises:
            KeyError: ``gt_extra_labels``, or an image's own extra label, is missing.
            ValueError: an image has more or fewer extra labels than objects.
        """
        given_labels = check_extra_labels(gt_extra_labels, gt_bboxes) if self.with_extra_bbox else []
        losses = super().forward_train(
            x, img_metas, proposal_list, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks, **kwargs
        )
        if self.with_extra_bbox:
            losses.update(self._extra_forward_train(x, img_metas, gt_bboxes, given_labels))
        return losses

    def _extra_forward_train(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_extra_labels: list[Tensor],
    ) -> dict[str, Tensor]:
        """Losses of the second head for the boxes that the first pass sampled."""
        rois = bbox2roi([res.bboxes for res in self.sampling_results])
        cls_score, bbox_pred = self.extra_bbox_head(self._extra_features(x, rois))

        relabelled = [relabel(res, extra) for res, extra in zip(self.sampling_results, gt_extra_labels)]
        # without img_metas: per-image weights are not meant for this head
        _, _, *box_targets = self.extra_bbox_head.get_targets(relabelled, gt_bboxes, gt_extra_labels, self.train_cfg)
        labels = extra_labels(relabelled, self._image_labels(img_metas))
        label_weights = instance_weights(relabelled, self.weight_of_negatives, self.weight_of_positives)
        losses = self.extra_bbox_head.loss(cls_score, bbox_pred, rois, labels, label_weights, *box_targets)
        if self.keep_debug_results:
            self.debug_results['extra_labels'] = to_numpy(labels)
        return {f'loss_extra_{key[5:]}': value for key, value in losses.items() if key.startswith('loss_')}

    def _extra_features(self, x: Features, rois: Tensor) -> Tensor:
        """RoI features (n, C, h, w) for the second head; what lies before them gets its gradient reversed."""
        feats = self.bbox_roi_extractor(x[: self.bbox_roi_extractor.num_inputs], rois)
        self.last_grl_lambda = self.calc_grl_lambda()
        if self.with_grad_reversal:
            feats = reverse_gradient(feats, self.last_grl_lambda)
        return self.shared_head(feats) if self.with_shared_head else feats

    def _image_labels(self, img_metas: list[ImgMeta]) -> list[int]:
        """The extra label of each image. The name of the first image's label is kept for all later batches."""
        if self.extra_label_name is None:
            self.extra_label_name = _entry(img_metas[0], 'extra_label_name')
        return [_entry(img_meta, self.extra_label_name) for img_meta in img_metas]


def _entry(img_meta: Mapping[str, Any], key: str) -> Any:
    """One entry of the meta information.

    Raises:
        KeyError: it is not there.
    """
    if key not in img_meta:
        raise KeyError(
            f'img_metas have no {key!r}, which the extra box head needs; they have {sorted(img_meta)}. '
            "LoadExtraAnnotations sets it, and 'meta_keys' of the collecting step must name it"
        )
    return img_meta[key]


def check_extra_labels(gt_extra_labels: list[Tensor] | None, gt_bboxes: Sequence[Tensor]) -> list[Tensor]:
    """The extra labels, after a check that each object has one.

    Raises:
        KeyError: there are none.
        ValueError: their number is not that of the objects.
    """
    if gt_extra_labels is None:
        raise KeyError(
            "'gt_extra_labels' is missing: the extra box head needs LoadExtraAnnotations and ExtraFormatBundle in the "
            "pipeline, and 'gt_extra_labels' among the collected keys"
        )
    for i, (labels, boxes) in enumerate(zip(gt_extra_labels, gt_bboxes)):
        if len(labels) != len(boxes):
            raise ValueError(
                f'gt_extra_labels: image {i} of the batch has {len(labels)} for {len(boxes)} boxes; place '
                'LoadExtraAnnotations after the steps that drop boxes'
            )
    return gt_extra_labels


def relabel(sampling_result: Any, gt_extra_labels: Tensor) -> Any:
    """A copy of one image's sampling result whose positives have the extra labels (g,) of their objects."""
    copied = copy.copy(sampling_result)
    copied.pos_gt_labels = gt_extra_labels[sampling_result.pos_assigned_gt_inds]
    return copied


def extra_labels(sampling_results: Sequence[Any], image_labels: Sequence[int]) -> Tensor:
    """(n,) labels: each positive's own, then the image's for its negatives, image by image."""
    labels = []
    for res, image_label in zip(sampling_results, image_labels):
        labels += [res.pos_gt_labels, res.pos_gt_labels.new_full((len(res.neg_bboxes),), image_label)]
    return torch.cat(labels)


def instance_weights(sampling_results: Sequence[Any], negative: float, positive: float) -> Tensor:
    """(n,) label weights: ``positive`` for positives, then ``negative`` for negatives, image by image."""
    weights = []
    for res in sampling_results:
        weights.append(res.pos_bboxes.new_full((len(res.pos_bboxes),), positive))
        weights.append(res.neg_bboxes.new_full((len(res.neg_bboxes),), negative))
    return torch.cat(weights)
