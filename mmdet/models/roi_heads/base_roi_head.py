"""What all RoI heads share."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch.nn as nn
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import build_shared_head
from mmdet.models.utils.settings import as_config

Parts = dict | list[dict]  # config of a part, or those of its stages


class BaseRoIHead(BaseModule, metaclass=ABCMeta):
    """Base of the RoI heads: builds the branches that the config names.

    Args:
        bbox_roi_extractor, bbox_head: the box branch; no ``bbox_head``: no such branch.
        mask_roi_extractor, mask_head: the mask branch; without an extractor of its own it uses the box branch's.
        shared_head: layers that the branches share.
        train_cfg: settings of the training (assigner, sampler, ``pos_weight``, ``mask_size``).
        test_cfg: settings of the test (``score_thr``, ``nms``, ``max_per_img``, ``mask_thr_binary``, ``mask_pasting``).
        pretrained: deprecated; weights of the shared head.
        init_cfg: initialisation, if any.
    """

    no_weight_per_image = 'it has no loss of its own: name its bbox_head, mask_head or keypoint_head so'

    def __init__(
        self,
        bbox_roi_extractor: Parts | None = None,
        bbox_head: Parts | None = None,
        mask_roi_extractor: Parts | None = None,
        mask_head: Parts | None = None,
        shared_head: dict | None = None,
        train_cfg: Any = None,
        test_cfg: Any = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        if shared_head is not None:
            extra = {} if pretrained is None else dict(pretrained=pretrained)
            self.shared_head = build_shared_head(dict(shared_head, **extra))
        if bbox_head is not None:
            self.init_bbox_head(bbox_roi_extractor, bbox_head)
        if mask_head is not None:
            self.init_mask_head(mask_roi_extractor, mask_head)
        self.init_assigner_sampler()

    @property
    def with_bbox(self) -> bool:
        """Whether there is a box branch."""
        return self._has('bbox_head')

    @property
    def with_mask(self) -> bool:
        """Whether there is a mask branch."""
        return self._has('mask_head')

    @property
    def with_shared_head(self) -> bool:
        """Whether there are shared layers."""
        return self._has('shared_head')

    def _has(self, name: str) -> bool:
        module: nn.Module | None = getattr(self, name, None)
        return module is not None

    @abstractmethod
    def init_bbox_head(self, bbox_roi_extractor: Any = None, bbox_head: Any = None) -> None:
        """Build the box branch."""

    @abstractmethod
    def init_mask_head(self, mask_roi_extractor: Any = None, mask_head: Any = None) -> None:
        """Build the mask branch."""

    @abstractmethod
    def init_assigner_sampler(self) -> None:
        """Build what the training needs."""

    @abstractmethod
    def forward_train(
        self,
        x: Sequence[Tensor],
        img_meta: list[ImgMeta],
        proposal_list: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list[Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch."""

    async def async_simple_test(
        self,
        x: Sequence[Tensor],
        proposal_list: list[Tensor],
        img_metas: list[ImgMeta],
        proposals: list[Tensor] | None = None,
        rescale: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Results of one image, for a caller with an event loop."""
        raise NotImplementedError(f'{type(self).__name__} has no asynchronous test')

    def simple_test(
        self,
        x: Sequence[Tensor],
        proposal_list: list[Tensor],
        img_meta: list[ImgMeta],
        proposals: list[Tensor] | None = None,
        rescale: bool = False,
        **kwargs: Any,
    ) -> list:
        """Results of each image of a batch."""
        raise NotImplementedError(f'{type(self).__name__} has no simple_test')

    def aug_test(
        self,
        x: Sequence[Sequence[Tensor]],
        proposal_list: list[Tensor],
        img_metas: list[list[ImgMeta]],
        rescale: bool = False,
        **kwargs: Any,
    ) -> list:
        """Results of one image, merged from several views of it."""
        raise NotImplementedError(f'{type(self).__name__} has no aug_test')
