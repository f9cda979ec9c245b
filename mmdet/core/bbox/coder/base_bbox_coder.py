"""What every box coder offers."""

from abc import ABCMeta, abstractmethod
from typing import Any

from torch import Tensor


class BaseBBoxCoder(metaclass=ABCMeta):
    """Turns boxes into regression targets and predictions back into boxes."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: B027 - coders of users hand their arguments up
        pass

    @abstractmethod
    def encode(self, bboxes: Tensor, gt_bboxes: Tensor) -> Tensor:
        """Regression targets that lead from ``bboxes`` (n, 4) to ``gt_bboxes`` (n, 4)."""

    @abstractmethod
    def decode(self, bboxes: Tensor, bboxes_pred: Tensor) -> Tensor:
        """Boxes that predictions lead to from ``bboxes`` (n, 4)."""
