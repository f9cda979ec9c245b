"""Binary cross entropy of probabilities that also works in mixed precision."""

import torch
import torch.nn.functional as F
from torch import Tensor


def probability_cross_entropy(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Elementwise binary cross entropy of probabilities and targets of the same shape, both in [0, 1].

    In float32, or what is wider. ``torch.autocast`` refuses torch's own function on a GPU, even for float32.
    """
    dtype = torch.promote_types(probabilities.dtype, torch.float32)
    with torch.autocast(probabilities.device.type, enabled=False):
        return F.binary_cross_entropy(probabilities.to(dtype), targets.to(dtype), reduction='none')
