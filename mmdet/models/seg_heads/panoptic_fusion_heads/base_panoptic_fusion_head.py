"""What heads that make panoptic maps share."""

from abc import ABCMeta, abstractmethod
from typing import Any

from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.models.builder import build_loss
from mmdet.utils.registry import refuse_unused


class BasePanopticFusionHead(BaseModule, metaclass=ABCMeta):
    """Base of heads that make panoptic maps.

    A map (H, W) holds ``label + number of the object * INSTANCE_OFFSET`` for things, ``label`` for stuff and
    ``num_classes`` where nothing was found.

    Args:
        num_things_classes: number of classes of things T, labels ``[0, T)``.
        num_stuff_classes: number of classes of stuff S, labels ``[T, T + S)``.
        test_cfg: settings of the test.
        loss_panoptic: a loss, if any.
        init_cfg: initialisation.
        kwargs: must be empty; the signature of mmdetection 2.x takes any.

    Raises:
        TypeError: an argument has another name.
    """

    no_weight_per_image = 'it has no loss'  # read where heads with weights are made

    def __init__(
        self,
        num_things_classes: int = 80,
        num_stuff_classes: int = 53,
        test_cfg: Any = None,
        loss_panoptic: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_unused(self, kwargs)
        super().__init__(init_cfg)
        self.num_things_classes = num_things_classes
        self.num_stuff_classes = num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.test_cfg = test_cfg
        self.loss_panoptic = build_loss(loss_panoptic) if loss_panoptic else None

    @property
    def with_loss(self) -> bool:
        """Whether the head has a loss of its own."""
        return self.loss_panoptic is not None

    @abstractmethod
    def forward_train(self, gt_masks: Any = None, gt_semantic_seg: Tensor | None = None, **kwargs: Any) -> dict:
        """Losses of the fusion; empty where it learns nothing."""

    @abstractmethod
    def simple_test(self, *args: Any, **kwargs: Any) -> Any:
        """Panoptic maps."""
