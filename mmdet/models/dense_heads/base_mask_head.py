"""What heads share that predict masks straight from feature maps."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.base_head import BaseHead
from mmdet.models.utils.export import refuse_export


class BaseMaskHead(BaseHead, metaclass=ABCMeta):
    """The way through training and testing; a subclass gives ``forward``, ``loss`` and ``get_results``.

    Args:
        init_cfg: initialisation of the weights, as mmcv's ``BaseModule`` takes it.
    """

    def __init__(self, init_cfg: dict | list | None) -> None:
        super().__init__(init_cfg)

    @abstractmethod
    def loss(self, **kwargs: Any) -> dict:
        """Losses by name."""

    @abstractmethod
    def get_results(self, **kwargs: Any) -> list:
        """Instances of each image, from what ``forward`` gave."""

    def forward_train(
        self,
        x: Sequence[Tensor],
        gt_labels: list[Tensor],
        gt_masks: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor] | None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        positive_infos: list | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            x: L feature maps (N, C, H, W).
            gt_labels: N times (G,).
            gt_masks: N times (G, H, W).
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            gt_bboxes_ignore: N times (G', 4); handed on.
            positive_infos: what a box head found for each image, which ``forward`` then gets, too; None: no box head.
            kwargs: handed on to ``loss``.
        """
        outs = self(x) if positive_infos is None else self(x, positive_infos)
        return self.loss(
            *outs,
            gt_labels=gt_labels,
            gt_masks=gt_masks,
            img_metas=img_metas,
            gt_bboxes=gt_bboxes,
            gt_bboxes_ignore=gt_bboxes_ignore,
            positive_infos=positive_infos,
            **kwargs,
        )

    def simple_test(
        self,
        feats: Sequence[Tensor],
        img_metas: list[ImgMeta],
        rescale: bool = False,
        instances_list: list | None = None,
        **kwargs: Any,
    ) -> list:
        """Instances of each image, as ``InstanceData``.

        Args:
            feats: L feature maps (N, C, H, W).
            img_metas: meta information of the N images.
            rescale: handed on.
            instances_list: of a box head, which ``forward`` then gets, too; None: no box head.
            kwargs: handed on to ``get_results``.
        """
        outs = self(feats) if instances_list is None else self(feats, instances_list=instances_list)
        of_images = dict(img_metas=img_metas, rescale=rescale, instances_list=instances_list)
        return self.get_results(*outs, **of_images, **kwargs)

    onnx_export = refuse_export
