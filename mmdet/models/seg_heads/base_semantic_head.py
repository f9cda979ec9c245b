"""What heads of semantic segmentation share."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.base_head import loss_of_rows
from mmdet.models.builder import build_loss

# Default of the constructor, which is part of its signature; never written to.
LOSS_SEG = dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=1.0)


class BaseSemanticHead(BaseModule, metaclass=ABCMeta):
    """Base of heads that give each pixel a class.

    Args:
        num_classes: number of channels K of the prediction.
        init_cfg: initialisation.
        loss_seg: the loss; falsy: none, the head cannot be trained.
    """

    directive_head, directive_fallback = 'semantic_head', 'roi_head'

    def __init__(
        self,
        num_classes: int,
        init_cfg: dict | list[dict] | None = None,
        loss_seg: dict | None = LOSS_SEG,
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.loss_seg = build_loss(loss_seg) if loss_seg else None

    @property
    def with_loss(self) -> bool:
        """Whether the head can be trained."""
        return self.loss_seg is not None

    @abstractmethod
    def forward(self, x: Sequence[Tensor]) -> dict[str, Tensor]:
        """Feature maps (N, C, H_l, W_l) -> a dict with the logits ``seg_preds`` (N, K, H, W)."""

    def loss(self, seg_preds: Tensor, gt_semantic_seg: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """``loss_seg`` of a batch.

        Args:
            seg_preds: (N, K, H, W) logits; they are resized to the ground truth.
            gt_semantic_seg: (N, 1, H', W') classes in ``[0, K)``, or what the loss ignores.
            weights: (N,) factors of the images; the mean is over all pixels, whatever their weights.

        Raises:
            ValueError: the head was built without a loss.
        """
        if self.loss_seg is None:
            raise ValueError(f'{type(self).__name__} was built without loss_seg and cannot be trained')
        logits = resize_maps(seg_preds, gt_semantic_seg.shape[-2:])
        # (N, K, H, W) -> (N H W, K)
        logits = logits.permute(0, 2, 3, 1).reshape(-1, self.num_classes)
        labels = gt_semantic_seg.reshape(-1).long()
        if weights is not None:
            weights = weights[:, None].expand(-1, len(labels) // len(weights)).reshape(-1)
        return dict(loss_seg=self.loss_seg(logits, labels, weights))

    def forward_train(
        self, x: Sequence[Tensor], gt_semantic_seg: Tensor, img_metas: Sequence[ImgMeta] | None = None
    ) -> dict[str, Tensor]:
        """Feature maps and classes (N, 1, H, W) -> ``loss_seg``; ``img_metas`` are of the N images, None: none."""
        preds = self(x)['seg_preds']
        return loss_of_rows(self, [1] * len(preds), img_metas, preds, gt_semantic_seg)

    def simple_test(
        self, x: Sequence[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> Tensor | list[Tensor]:
        """Logits of each of N images, without the padding.

        Args:
            x: feature maps (N, C, H_l, W_l).
            img_metas: has ``img_shape``, ``batch_input_shape`` (else ``pad_shape``) and, with ``rescale``,
                ``ori_shape`` of each image.
            rescale: give them at the size of the original image, else at that of the network's input.

        Returns:
            (N, K, H, W) where all images have one size, else N times (K, H, W).
        """
        meta = img_metas[0]
        canvas = meta.get('batch_input_shape') or meta['pad_shape'][:2]
        logits = resize_maps(self(x)['seg_preds'], canvas)
        maps = []
        for of_image, meta in zip(logits, img_metas):
            height, width = meta['img_shape'][:2]
            cut = of_image[None, :, :height, :width]
            maps.append((resize_maps(cut, meta['ori_shape'][:2]) if rescale else cut)[0])
        return torch.stack(maps) if len({one.shape for one in maps}) == 1 else maps


def resize_maps(maps: Tensor, size_hw: Sequence[int]) -> Tensor:
    """(N, K, H, W) -> (N, K, *size_hw) by bilinear interpolation; the same object where the size is right."""
    size = tuple(size_hw)
    if tuple(maps.shape[-2:]) == size:
        return maps
    return F.interpolate(maps, size=size, mode='bilinear', align_corners=False)
