import pytest
import torch

from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import ConvFCBBoxHead
from mmdet.models.roi_heads.bbox_heads.scnet_bbox_head import SCNetBBoxHead


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
