import pytest
import torch

from mmdet.models.roi_heads.mask_heads.global_context_head import GlobalContextHead, classes_present


def test_classes_present_counts_a_class_once():
    labels = [torch.tensor([2, 0, 2]), torch.zeros(0).long()]
    assert classes_present(labels, torch.empty(2, 3)).tolist() == [[1, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize('conv_to_res', [False, True])
def test_global_context_looks_at_the_coarsest_map(conv_to_res):
    head = GlobalContextHead(2, 4, 4, num_classes=3, loss_weight=2.0, conv_to_res=conv_to_res)
    logits, context = head([None, torch.rand(2, 4, 5, 7)])
    assert logits.shape == (2, 3) and context.shape == (2, 4, 1, 1)
    labels = [torch.tensor([1]), torch.tensor([0, 0])]
    assert head.loss(torch.zeros(2, 3), labels).item() == pytest.approx(2 * torch.tensor(2.0).log().item())
