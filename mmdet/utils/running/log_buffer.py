"""The values that a run logs, some of them still on the device."""

from typing import Any

import torch
from mmcv.runner import LogBuffer
from torch import Tensor


class DeviceLogBuffer(LogBuffer):
    """A ``LogBuffer`` that takes tensors of one number too, and reads all of a device in one copy for the means."""

    def average(self, n: int = 0) -> None:
        """Means of the last ``n`` values of each name; 0: of all."""
        waiting: dict[torch.device, list[tuple[list[Any], int]]] = {}
        for values in self.val_history.values():
            for place in range(max(len(values) - n, 0) if n else 0, len(values)):
                if isinstance(values[place], Tensor) and values[place].numel() == 1:
                    waiting.setdefault(values[place].device, []).append((values, place))
        for places in waiting.values():
            numbers = torch.stack([values[place].detach().float().reshape(()) for values, place in places]).tolist()
            for (values, place), number in zip(places, numbers):
                values[place] = number
        super().average(n)
