import pytest
import torch

from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import ConvFCBBoxHead
from mmdet.models.roi_heads.bbox_heads.scnet_bbox_head import SCNetBBoxHead
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
from mmdet.models.roi_heads.mask_heads.feature_relay_head import FeatureRelayHead
from mmdet.models.roi_heads.mask_heads.fused_semantic_head import FusedSemanticHead
from mmdet.models.roi_heads.mask_heads.global_context_head import GlobalContextHead, classes_present
from mmdet.models.roi_heads.mask_heads.htc_mask_head import HTCMaskHead
from mmdet.models.roi_heads.mask_heads.scnet_mask_head import SCNetMaskHead
from mmdet.models.roi_heads.mask_heads.scnet_semantic_head import SCNetSemanticHead

MASK = dict(num_convs=2, in_channels=3, conv_out_channels=3, num_classes=2)
SEMANTIC = dict(num_ins=3, fusion_level=1, num_convs=2, in_channels=4, conv_out_channels=4, num_classes=5)


def test_htc_head_without_previous_features_is_the_plain_head():
    head, plain = HTCMaskHead(with_conv_res=False, **MASK), FCNMaskHead(**MASK)
    plain.load_state_dict(head.state_dict())
    x = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(head(x, return_feat=False), plain(x))
    assert head(torch.rand(0, 3, 4, 4))[0].shape == (0, 2, 8, 8)


def test_htc_head_adds_previous_features_and_gives_its_own():
    head = HTCMaskHead(**MASK)
    x, previous = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    logits, feat = head(x, previous)
    torch.testing.assert_close(head(x + head.conv_res(previous))[0], logits)
    torch.testing.assert_close(head(x, previous, return_logits=False), feat)
    assert feat.shape == x.shape


def test_htc_head_says_what_it_cannot_do():
    with pytest.raises(ValueError, match='both False'):
        HTCMaskHead(**MASK)(torch.rand(1, 3, 4, 4), return_logits=False, return_feat=False)
    with pytest.raises(ValueError, match='takes no previous features'):
        HTCMaskHead(with_conv_res=False, **MASK)(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4))


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


def test_relay_makes_maps_of_vectors():
    head = FeatureRelayHead(in_channels=4, out_conv_channels=2, roi_feat_size=3, scale_factor=2)
    x = torch.rand(5, 4)
    relayed = head(x)
    assert relayed.shape == (5, 2, 6, 6) and head(x[:0]).shape == (0, 2, 6, 6)
    torch.testing.assert_close(relayed[:, :, ::5, ::5], head.fc(x).view(5, 2, 3, 3)[:, :, ::2, ::2])  # corners stay
    with pytest.raises(TypeError, match='roi_feat_size: expected an int'):
        FeatureRelayHead(roi_feat_size=(7, 7))


def test_scnet_mask_head_has_residual_blocks_where_wanted():
    plain = SCNetMaskHead(conv_to_res=False, **MASK)
    assert plain.state_dict().keys() == FCNMaskHead(**MASK).state_dict().keys()
    head = SCNetMaskHead(**MASK)
    assert 'convs.0.conv2.weight' in head.state_dict() and len(head.convs) == 1
    assert head(torch.rand(2, 3, 4, 4)).shape == (2, 2, 8, 8)
    with pytest.raises(ValueError, match='residual blocks need 3, got 5'):
        SCNetMaskHead(conv_kernel_size=5, **MASK)


@pytest.mark.parametrize('fcs, shape', [(2, (3, 8)), (0, (3, 8, 2, 2))])
def test_scnet_box_head_gives_shared_features(fcs, shape):
    cfg = dict(
        num_shared_convs=1, num_shared_fcs=fcs, in_channels=4, conv_out_channels=8, fc_out_channels=8, roi_feat_size=2,
        num_classes=2,
    )  # fmt: skip
    head, plain = SCNetBBoxHead(**cfg), ConvFCBBoxHead(**cfg)
    plain.load_state_dict(head.state_dict())
    x = torch.rand(3, 4, 2, 2)
    cls_score, bbox_pred, shared = head(x, return_shared_feat=True)
    assert shared.shape == shape
    for mine, other in zip((cls_score, bbox_pred), plain(x)):
        torch.testing.assert_close(mine, other)
    assert len(head(x)) == 2
