"""Detectors that propose regions first and look at each of them then."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS, build_head
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors.base import BaseDetector, stage_configs
from mmdet.models.utils.settings import as_config

DUMMY_PROPOSALS = 1000  # regions that the second stage gets when only operations are counted


@DETECTORS.register_module()
class TwoStageDetector(BaseDetector):
    """Backbone, neck, a head that proposes regions, and a RoI head that classifies and refines them.

    Args:
        backbone: config of the backbone.
        neck: config of the neck; None: none.
        rpn_head: config of the first stage; None: proposals come with the data.
        roi_head: config of the second stage; None: none.
        train_cfg: sections ``rpn``, ``rpn_proposal`` (absent: ``test_cfg.rpn``) and ``rcnn``; with ``domain``, the
            arguments of :class:`DomainAdaptation`, the detector is trained to be alike in two domains.
        test_cfg: sections ``rpn`` and ``rcnn``.
        pretrained: deprecated; weights of the backbone.
        init_cfg: initialisation of the weights.

    Attributes:
        last_objectness: the first stage's class scores of the last training pass, before the sigmoid, one map
            (N, A, H, W) a level, detached; None before.
        last_image: first image of that batch (3, H, W), a copy. Both are for looking into a training run.
        domain_adaptation: the domain classifiers; None without ``train_cfg.domain``, so in a test.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        rpn_head: dict | None = None,
        roi_head: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self._build_trunk(backbone, neck, pretrained)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        if rpn_head is not None:
            self.rpn_head = build_head({**rpn_head, **stage_configs(self.train_cfg, self.test_cfg, 'rpn')})
            if isinstance(self.rpn_head, BaseDenseHead):
                self.rpn_head.serve_as_first_stage()
        if roi_head is not None:
            stage: dict[str, Any] = stage_configs(self.train_cfg, self.test_cfg, 'rcnn')
            if pretrained:
                stage['pretrained'] = pretrained
            self.roi_head = build_head({**roi_head, **stage})
        domain = self.train_cfg.get('domain') if self.train_cfg else None
        self.domain_adaptation = None if domain is None else build_head({'type': 'DomainAdaptation', **domain})
        self.last_objectness: list[Tensor] | None = None
        self.last_image: Tensor | None = None

    @property
    def with_rpn(self) -> bool:
        """Whether there is a first stage."""
        return getattr(self, 'rpn_head', None) is not None

    @property
    def with_roi_head(self) -> bool:
        """Whether there is a second stage."""
        return getattr(self, 'roi_head', None) is not None

    def extract_feat(self, img: Tensor) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> L feature maps (N, C, H, W)."""
        return self._run_trunk(img)

    def forward_dummy(self, img: Tensor) -> tuple:
        """The network alone, without losses or boxes; for counting operations."""
        return self._dummy_stages(self.extract_feat(img), img)

    def _dummy_stages(self, feats: Sequence[Tensor], img: Tensor) -> tuple:
        """Raw predictions of both stages on the feature maps of ``img``."""
        rpn_outs = (self.rpn_head(feats),) if self.with_rpn else ()
        height, width = img.shape[-2:]
        proposals = img.new_tensor([[0, 0, width, height]]).expand(DUMMY_PROPOSALS, 4)
        return (*rpn_outs, self.roi_head.forward_dummy(feats, proposals))

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list | None = None,
        proposals: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Losses of both stages.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            gt_bboxes_ignore: N times (G', 4) regions in which nothing is learnt.
            gt_masks: N times the masks of the objects.
            proposals: N times (n, 4 or 5), where there is no first stage.
            kwargs: other keys of the batch; both stages get them.
        """
        super().forward_train(img, img_metas)
        feats = self.extract_feat(img)
        return self._train_stages(
            feats, img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks, proposals, **kwargs
        )

    def _train_stages(
        self,
        feats: Sequence[Tensor],
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None,
        gt_masks: list | None,
        proposals: list[Tensor] | None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Losses of both stages on the feature maps of ``img``; see :meth:`forward_train`."""
        losses = {}
        if self.with_rpn:
            rpn_losses, proposals = self.rpn_head.forward_train(
                feats,
                img_metas,
                gt_bboxes,
                gt_labels=None,
                gt_bboxes_ignore=gt_bboxes_ignore,
                proposal_cfg=self.train_cfg.get('rpn_proposal') or self.test_cfg.rpn,
                **kwargs,
            )
            losses.update(rpn_losses)
        self._remember(img)
        losses.update(
            self.roi_head.forward_train(
                feats, img_metas, proposals, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks, **kwargs
            )
        )
        losses.update(self._domain_losses(feats, proposals, img_metas))
        return losses

    def _domain_losses(
        self, feats: Sequence[Tensor], proposals: Sequence[Tensor] | None, img_metas: list[ImgMeta]
    ) -> dict[str, Tensor]:
        """Losses of the domain classifiers; none without ``train_cfg.domain``."""
        if self.domain_adaptation is None:
            return {}
        return self.domain_adaptation(feats, proposals, img_metas, self.roi_features)

    def roi_features(self, feats: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Features (n, C, h, w) that the first box head gets of RoIs (n, 5), image index first, then xyxy px."""
        extractor: Any = self.roi_head.bbox_roi_extractor
        extractor = extractor[0] if isinstance(extractor, nn.ModuleList) else extractor
        pooled = extractor(feats[: extractor.num_inputs], rois)
        return self.roi_head.shared_head(pooled) if self.with_shared_head else pooled

    def upgrade_state_dict(self, state_dict: dict[str, Tensor], prefix: str) -> None:
        """Leave the domain classifiers of a file aside where this detector has none."""
        if self.domain_adaptation is None:
            for name in [name for name in state_dict if name.startswith(f'{prefix}domain_adaptation.')]:
                del state_dict[name]

    def _remember(self, img: Tensor) -> None:
        """Keep ``last_image`` and ``last_objectness``, without the graph and without the rest of the batch."""
        self.last_image = img[0].detach().clone()
        self.last_objectness = getattr(self.rpn_head, 'last_objectness', None) if self.with_rpn else None

    def simple_test(
        self, img: Tensor, img_metas: list[ImgMeta], proposals: list[Tensor] | None = None, rescale: bool = False
    ) -> list:
        """Detections of each image, by class; with a mask head (boxes, masks).

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            proposals: N times (n, 4 or 5); None: the first stage makes them.
            rescale: give boxes in pixels of the original image.
        """
        feats = self.extract_feat(img)
        if proposals is None:
            proposals = self.rpn_head.simple_test_rpn(feats, img_metas)
        return self.roi_head.simple_test(feats, proposals, img_metas, rescale=rescale)

    def onnx_export(self, img: Tensor, img_metas: list[ImgMeta]) -> tuple[Tensor, ...]:
        """Results of one shape: boxes with scores (N, k, 5) px of the input, labels (N, k), -1 in rows that fill up.

        With a mask branch also the masks of the boxes (N, k, h, w) in [0, 1], with a keypoint branch heat maps.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
        """
        feats = self.extract_feat(img)
        return self.roi_head.onnx_export(feats, self.rpn_head.simple_test_rpn(feats, img_metas), img_metas)

    async def async_simple_test(
        self, img: Tensor, img_meta: list[ImgMeta], proposals: list[Tensor] | None = None, rescale: bool = False
    ) -> list:
        """As :meth:`simple_test`, for callers that await; it runs in the caller's thread."""
        return self.simple_test(img, img_meta, proposals=proposals, rescale=rescale)

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = False) -> list:
        """Detections of one image, merged over its augmented versions; a list with one entry.

        Args:
            imgs: (1, 3, H, W) for each version.
            img_metas: for each version a list with one dict.
            rescale: give boxes in pixels of the original image, otherwise of the first version.
        """
        feats = self.extract_feats(imgs)
        proposals = self.rpn_head.aug_test_rpn(feats, img_metas)
        return self.roi_head.aug_test(feats, proposals, img_metas, rescale=rescale)
