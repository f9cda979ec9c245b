"""Objects and features that the tests of FreeAnchor, FSAF and FoveaBox use."""

import torch

GTS = [torch.tensor([[3.0, 2, 20, 21]]), torch.tensor([[2.0, 10, 15, 30], [12, 1, 31, 22]])]
LABELS = [torch.tensor([1]), torch.tensor([1, 2])]
NOTHING, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


def feats(num=2):
    torch.manual_seed(1)
    return [torch.randn(num, 4, 4, 4), torch.randn(num, 4, 2, 2)]
