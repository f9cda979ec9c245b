"""The values that a run logs, some of them still on the device."""

import torch
from mmcv.runner import LogBuffer
from torch import Tensor


class DeviceLogBuffer(LogBuffer):
    """A ``LogBuffer`` that takes tensors without dimensions too, and reads all of them in one copy for the means."""

    def average(self, n: int = 0) -> None:
        """Means of the last ``n`` values of each name; 0: of all."""
        waiting = [
            (values, place)
            for values in self.val_history.values()
            for place in range(max(len(values) - n, 0) if n else 0, len(values))
            if isinstance(values[place], Tensor)
        ]
        if waiting:
            numbers = torch.stack([values[place].detach().float() for values, place in waiting]).tolist()
            for (values, place), number in zip(waiting, numbers):
                values[place] = number
        super().average(n)
