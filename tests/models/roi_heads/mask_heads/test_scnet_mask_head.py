import pytest
import torch

from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
from mmdet.models.roi_heads.mask_heads.scnet_mask_head import SCNetMaskHead

MASK = dict(num_convs=2, in_channels=3, conv_out_channels=3, num_classes=2)


def test_scnet_mask_head_has_residual_blocks_where_wanted():
    plain = SCNetMaskHead(conv_to_res=False, **MASK)
    assert plain.state_dict().keys() == FCNMaskHead(**MASK).state_dict().keys()
    head = SCNetMaskHead(**MASK)
    assert 'convs.0.conv2.weight' in head.state_dict() and len(head.convs) == 1
    assert head(torch.rand(2, 3, 4, 4)).shape == (2, 2, 8, 8)
    with pytest.raises(ValueError, match='residual blocks need 3, got 5'):
        SCNetMaskHead(conv_kernel_size=5, **MASK)
