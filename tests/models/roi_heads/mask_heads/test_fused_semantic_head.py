import pytest
import torch

from mmdet.models.roi_heads.mask_heads.fused_semantic_head import FusedSemanticHead
from mmdet.models.roi_heads.mask_heads.scnet_semantic_head import SCNetSemanticHead

SEMANTIC = dict(num_ins=3, fusion_level=1, num_convs=2, in_channels=4, conv_out_channels=4, num_classes=5)


@pytest.mark.parametrize('build', [FusedSemanticHead, SCNetSemanticHead])
def test_semantic_head_brings_all_maps_to_the_fusion_level(build):
    head = build(**SEMANTIC)
    feats = [torch.rand(2, 4, *size) for size in ((8, 12), (4, 6), (2, 3))]
    logits, features = head(feats)
    assert logits.shape == (2, 5, 4, 6) and features.shape == (2, 4, 4, 6)
    logits.sum().backward()
    assert all(conv.conv.weight.grad.abs().sum() > 0 for conv in head.lateral_convs)
    with pytest.raises(ValueError, match='expected num_ins=3 feature maps, got 2'):
        head(feats[:2])


def test_semantic_loss_leaves_ignored_pixels_out():
    head = FusedSemanticHead(**SEMANTIC, ignore_label=4, loss_weight=1.0)
    logits = torch.zeros(1, 5, 1, 2, requires_grad=True)
    loss = head.loss(logits, torch.tensor([[[[4, 2]]]]))
    assert loss.item() == pytest.approx(torch.tensor(5.0).log().item() / 2)  # the mean is over all pixels
    loss.backward()
    assert logits.grad[..., 0].abs().sum() == 0 < logits.grad[..., 1].abs().sum()
