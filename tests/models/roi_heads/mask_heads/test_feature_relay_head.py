import pytest
import torch

from mmdet.models.roi_heads.mask_heads.feature_relay_head import FeatureRelayHead


def test_relay_makes_maps_of_vectors():
    head = FeatureRelayHead(in_channels=4, out_conv_channels=2, roi_feat_size=3, scale_factor=2)
    x = torch.rand(5, 4)
    relayed = head(x)
    assert relayed.shape == (5, 2, 6, 6) and head(x[:0]).shape == (0, 2, 6, 6)
    torch.testing.assert_close(relayed[:, :, ::5, ::5], head.fc(x).view(5, 2, 3, 3)[:, :, ::2, ::2])  # corners stay
    with pytest.raises(TypeError, match='roi_feat_size: expected an int'):
        FeatureRelayHead(roi_feat_size=(7, 7))
