"""The box head of SCNet: it gives its shared features to the mask branch."""

from torch import Tensor

from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.bbox_heads.convfc_bbox_head import ConvFCBBoxHead


@HEADS.register_module()
class SCNetBBoxHead(ConvFCBBoxHead):
    """:class:`ConvFCBBoxHead` whose shared features can be had (https://arxiv.org/abs/2012.10150)."""

    def _forward_shared(self, x: Tensor) -> Tensor:
        """RoI features (n, C, h, w) -> shared features: (n, F), or (n, C', h, w) without shared fc layers."""
        for conv in self.shared_convs:
            x = conv(x)
        if self.num_shared_fcs > 0:
            x = self._fully_connected(self._to_vectors(x), self.shared_fcs)
        return x

    def _forward_cls_reg(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Shared features -> logits (n, K + 1) and box codes (n, 4 K), or (n, 4) when class agnostic."""
        x_cls = self._branch(x, self.cls_convs, self.cls_fcs)
        x_reg = self._branch(x, self.reg_convs, self.reg_fcs)
        return self.fc_cls(x_cls) if self.with_cls else None, self.fc_reg(x_reg) if self.with_reg else None

    def forward(self, x: Tensor, return_shared_feat: bool = False) -> tuple[Tensor | None, ...]:
        """RoI features (n, C, h, w) -> logits, box codes and, with ``return_shared_feat``, the shared features."""
        shared = self._forward_shared(x)
        outs = self._forward_cls_reg(shared)
        return (*outs, shared) if return_shared_feat else outs
