"""CentripetalNet: corners that point at the same centre belong together (https://arxiv.org/abs/2003.09119)."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule, normal_init
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.corner_head import CornerHead
from mmdet.models.dense_heads.functional.corners.corners import weighed_targets
from mmdet.models.dense_heads.functional.corners.losses import corner_losses, shift_loss
from mmdet.models.dense_heads.functional.rows import to_full_precision
from mmdet.ops import DeformConv2d

# Default arguments; every builder copies them.
GUIDING_LOSS = dict(type='SmoothL1Loss', beta=1.0, loss_weight=0.05)
CENTRIPETAL_LOSS = dict(type='SmoothL1Loss', beta=1.0, loss_weight=1)


@HEADS.register_module()
class CentripetalHead(CornerHead):
    """A :class:`CornerHead` whose corners predict the way to the centre in the place of tags.

    A guiding shift, from the corner's cell to the centre, tells a deformable convolution where to look; the logarithm
    of the exact way, the centripetal shift, is predicted from what it sees.

    Args:
        args: arguments of :class:`CornerHead`.
        centripetal_shift_channels: 2.
        guiding_shift_channels: 2.
        feat_adaption_conv_kernel: kernel size of the deformable convolution.
        loss_guiding_shift: config of the loss of the guiding shifts.
        loss_centripetal_shift: config of the loss of the centripetal shifts.
        init_cfg: initialisation of the weights.
        kwargs: arguments of :class:`CornerHead`.

    Raises:
        ValueError: a number of channels is not 2.
    """

    def __init__(
        self,
        *args: Any,
        centripetal_shift_channels: int = 2,
        guiding_shift_channels: int = 2,
        feat_adaption_conv_kernel: int = 3,
        loss_guiding_shift: dict = GUIDING_LOSS,
        loss_centripetal_shift: dict = CENTRIPETAL_LOSS,
        init_cfg: dict | list | None = None,
        **kwargs: Any,
    ) -> None:
        if not centripetal_shift_channels == guiding_shift_channels == 2:
            raise ValueError(
                'CentripetalHead: shifts have 2 numbers, x and y; got centripetal_shift_channels='
                f'{centripetal_shift_channels} and guiding_shift_channels={guiding_shift_channels}'
            )
        self.centripetal_shift_channels = centripetal_shift_channels
        self.guiding_shift_channels = guiding_shift_channels
        self.feat_adaption_conv_kernel = feat_adaption_conv_kernel
        super().__init__(*args, **dict(init_cfg=init_cfg, **kwargs))
        self.loss_guiding_shift = build_loss(loss_guiding_shift)
        self.loss_centripetal_shift = build_loss(loss_centripetal_shift)

    def _init_centripetal_layers(self) -> None:
        width, kernel, levels = self.in_channels, self.feat_adaption_conv_kernel, range(self.num_feat_levels)
        offsets = kernel**2 * self.guiding_shift_channels
        for corner in ('tl', 'br'):
            adaption = (DeformConv2d(width, width, kernel, stride=1, padding=kernel // 2) for _ in levels)
            self.add_module(f'{corner}_feat_adaption', nn.ModuleList(adaption))
        for corner in ('tl', 'br'):
            convs = (ConvModule(self.guiding_shift_channels, offsets, 1, bias=False, act_cfg=None) for _ in levels)
            self.add_module(f'{corner}_dcn_offset', nn.ModuleList(convs))
        for kind in ('guiding_shift', 'centripetal_shift'):
            for corner in ('tl', 'br'):
                self.add_module(f'{corner}_{kind}', self._per_level(getattr(self, f'{kind}_channels')))

    def _init_layers(self) -> None:
        super()._init_layers()
        self._init_centripetal_layers()

    def init_weights(self) -> None:
        """As :class:`CornerHead`; small normal weights where features are adapted, torch's own for shifts."""
        super().init_weights()
        for layer in (*self.tl_feat_adaption, *self.br_feat_adaption):
            normal_init(layer, std=0.01)
        for layer in (*self.tl_dcn_offset, *self.br_dcn_offset):
            normal_init(layer.conv, std=0.1)
        shifts = self.tl_guiding_shift, self.br_guiding_shift, self.tl_centripetal_shift, self.br_centripetal_shift
        for layer in (layer for of_levels in shifts for layers in of_levels for layer in layers):
            layer.conv.reset_parameters()

    def forward_single(self, x: Tensor, lvl_ind: int) -> list[Tensor]:
        """One level (N, in_channels, h, w) -> its maps, top-left before bottom-right.

        Returns:
            class logits (N, K, h, w) twice; offsets, guiding shifts and centripetal shifts (N, 2, h, w), twice each.
        """
        heats_tags_offsets = super().forward_single(x, lvl_ind, return_pool=True)
        tl_heat, br_heat, _, _, tl_off, br_off, *pools = heats_tags_offsets
        guiding, centripetal = [], []
        for corner, pooled in zip(('tl', 'br'), pools):
            guide, offset, adaption, shift = (
                getattr(self, f'{corner}_{name}')[lvl_ind]
                for name in ('guiding_shift', 'dcn_offset', 'feat_adaption', 'centripetal_shift')
            )
            guiding.append(guide(pooled))
            centripetal.append(shift(adaption(pooled, offset(guiding[-1].detach()))))
        return [tl_heat, br_heat, tl_off, br_off, *guiding, *centripetal]

    def loss(
        self,
        tl_heats: Sequence[Tensor],
        br_heats: Sequence[Tensor],
        tl_offs: Sequence[Tensor],
        br_offs: Sequence[Tensor],
        tl_guiding_shifts: Sequence[Tensor],
        br_guiding_shifts: Sequence[Tensor],
        tl_centripetal_shifts: Sequence[Tensor],
        br_centripetal_shifts: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``det_loss``, ``off_loss``, ``guiding_loss`` and ``centripetal_loss``, one tensor a level each.

        Args:
            tl_heats, br_heats: L maps (N, K, h, w).
            tl_offs, br_offs: L maps (N, 2, h, w).
            tl_guiding_shifts, br_guiding_shifts: L maps (N, 2, h, w).
            tl_centripetal_shifts, br_centripetal_shifts: L maps (N, 2, h, w).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images; all have the ``pad_shape`` of the first.
            gt_bboxes_ignore: not used.
        """
        kinds = (
            tl_heats,
            br_heats,
            tl_offs,
            br_offs,
            tl_guiding_shifts,
            br_guiding_shifts,
            tl_centripetal_shifts,
            br_centripetal_shifts,
        )
        maps = [to_full_precision(kind) for kind in kinds]
        targets = self.get_targets(
            gt_bboxes,
            gt_labels,
            maps[0][-1].shape,
            img_metas[0]['pad_shape'],
            with_corner_emb=self.with_corner_emb,
            with_guiding_shift=True,
            with_centripetal_shift=True,
        )
        of_levels = [weighed_targets(self, targets, heats, gt_bboxes, img_metas) for heats in zip(*maps[:2])]
        det, off, guiding, centripetal = multi_apply(self.loss_single, *maps, of_levels)
        return dict(det_loss=det, off_loss=off, guiding_loss=guiding, centripetal_loss=centripetal)

    def loss_single(
        self,
        tl_hmp: Tensor,
        br_hmp: Tensor,
        tl_off: Tensor,
        br_off: Tensor,
        tl_guiding_shift: Tensor,
        br_guiding_shift: Tensor,
        tl_centripetal_shift: Tensor,
        br_centripetal_shift: Tensor,
        targets: dict[str, Any],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detection, offset, guiding and centripetal loss of one level; maps as of :meth:`loss`, targets weighed."""
        det, _, _, off = super().loss_single(tl_hmp, br_hmp, None, None, tl_off, br_off, targets)
        guiding = corner_losses(
            shift_loss(self.loss_guiding_shift), 'guiding_shift', tl_guiding_shift, br_guiding_shift, targets
        )
        centripetal = corner_losses(
            shift_loss(self.loss_centripetal_shift),
            'centripetal_shift',
            tl_centripetal_shift,
            br_centripetal_shift,
            targets,
        )
        return det, off, guiding, centripetal

    def get_bboxes(
        self,
        tl_heats: Sequence[Tensor],
        br_heats: Sequence[Tensor],
        tl_offs: Sequence[Tensor],
        br_offs: Sequence[Tensor],
        tl_guiding_shifts: Sequence[Tensor],
        br_guiding_shifts: Sequence[Tensor],
        tl_centripetal_shifts: Sequence[Tensor],
        br_centripetal_shifts: Sequence[Tensor],
        img_metas: list[ImgMeta],
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[tuple[Tensor, Tensor]]:
        """Maps of the last level to boxes with scores (k, 5) and labels (k,) of each image; the guides are not used.

        Arguments as of :meth:`loss` and of :meth:`CornerHead.get_bboxes`.
        """
        maps = tl_heats[-1], br_heats[-1], tl_offs[-1], br_offs[-1]
        shifts = dict(tl_centripetal_shift=tl_centripetal_shifts[-1], br_centripetal_shift=br_centripetal_shifts[-1])
        return self._images_bboxes(maps, shifts, img_metas, rescale, with_nms)
