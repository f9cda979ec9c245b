import pytest
import torch

from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
from mmdet.models.roi_heads.mask_heads.htc_mask_head import HTCMaskHead

MASK = dict(num_convs=2, in_channels=3, conv_out_channels=3, num_classes=2)


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
