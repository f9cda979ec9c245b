"""YOLOX (https://arxiv.org/abs/2107.08430)."""

import random
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from mmcv.runner import get_dist_info
from torch import Tensor
from torch.nn import functional

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.single_stage import SingleStageDetector
from mmdet.utils.logger import log_img_scale


def resize_batch(img: Tensor, gt_bboxes: Sequence[Tensor], size: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """Images (N, 3, H, W) and boxes N times (G, 4) as they are in images of ``size`` (h, w)."""
    ratios = gt_bboxes[0].new_tensor([size[1] / img.size(3), size[0] / img.size(2)] * 2)
    resized = functional.interpolate(img, size=tuple(size), mode='bilinear', align_corners=False)
    return resized, [boxes * ratios for boxes in gt_bboxes]


@DETECTORS.register_module()
class YOLOX(SingleStageDetector):
    """YOLOX; in training it draws a new image size now and then.

    Args:
        backbone: config of the backbone.
        neck: config of the neck.
        bbox_head: config of the dense head.
        train_cfg: the head's ``train_cfg``.
        test_cfg: the head's ``test_cfg``.
        pretrained: deprecated; weights of the backbone.
        input_size: (h, w) that images of the pipeline have; the drawn size is relative to it.
        size_multiplier: step of the drawn sizes, pixels.
        random_size_range: least and greatest drawn height, in steps, both included.
        random_size_interval: iterations between two draws.
        init_cfg: initialisation of the weights.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        bbox_head: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        input_size: tuple[int, int] = (640, 640),
        size_multiplier: int = 32,
        random_size_range: tuple[int, int] = (15, 25),
        random_size_interval: int = 10,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(backbone, neck, bbox_head, train_cfg, test_cfg, pretrained, init_cfg)
        log_img_scale(input_size, skip_square=True)
        self.rank, self.world_size = get_dist_info()
        self._default_input_size = input_size
        self._input_size = input_size
        self._random_size_range = random_size_range
        self._random_size_interval = random_size_interval
        self._size_multiplier = size_multiplier
        self._progress_in_iter = 0

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Any]:
        """Losses of a batch at the present size; arguments as of :meth:`SingleStageDetector.forward_train`."""
        img, gt_bboxes = self._preprocess(img, gt_bboxes)
        losses = super().forward_train(img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)
        self._progress_in_iter += 1
        if self._progress_in_iter % self._random_size_interval == 0:
            self._input_size = self._random_resize(img.device)
        return losses

    def _preprocess(self, img: Tensor, gt_bboxes: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Images and boxes in the ratio of the present size to ``input_size``; the caller's boxes stay as they are."""
        scales = [now / default for now, default in zip(self._input_size, self._default_input_size)]
        if scales == [1, 1]:
            return img, gt_bboxes
        size = [int(side * scale) for side, scale in zip(img.shape[-2:], scales)]
        return resize_batch(img, gt_bboxes, size)

    def _random_resize(self, device: torch.device) -> tuple[int, int]:
        """Draw a size (h, w); that of rank 0 holds for all processes, sent over ``device``."""
        steps = random.randint(*self._random_size_range)
        aspect = self._default_input_size[1] / self._default_input_size[0]
        size = (self._size_multiplier * steps, self._size_multiplier * int(aspect * steps))
        rank, world_size = get_dist_info()
        if world_size == 1:
            return size
        sent = torch.tensor(size if rank == 0 else (0, 0), device=device)
        dist.broadcast(sent, 0)
        return tuple(sent.tolist())
