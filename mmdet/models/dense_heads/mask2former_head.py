"""The head of Mask2Former (https://arxiv.org/abs/2112.01527); symbols as in ``maskformer_head.py``.

M: points at which two masks are compared.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn.bricks.transformer import build_positional_encoding
from mmcv.runner import ModuleList
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.masks.query_masks import hidden_cells
from mmdet.models.dense_heads.functional.rows import sizes_of_maps
from mmdet.models.dense_heads.maskformer_head import MaskFormerHead
from mmdet.models.utils.point_sample import get_uncertain_point_coords_with_randomness, point_sample
from mmdet.utils.registry import refuse_unused

# in train_cfg, with what holds where it does not say
POINT_SETTINGS = dict(num_points=12544, oversample_ratio=3.0, importance_sample_ratio=0.75)


@HEADS.register_module()
class Mask2FormerHead(MaskFormerHead):
    """:class:`MaskFormerHead` whose queries look at several maps in turn, and only inside of their masks so far.

    Masks are matched at M random points, and learnt at M points of which most are where the prediction is uncertain.

    Args:
        in_channels, feat_channels, out_channels, num_things_classes, num_stuff_classes, num_queries, pixel_decoder,
            enforce_decoder_input_project, transformer_decoder, positional_encoding, loss_cls, loss_mask, loss_dice,
            test_cfg, init_cfg: see :class:`MaskFormerHead`.
        num_transformer_feat_level: number of maps that the queries look at.
        train_cfg: the assigner, the sampler, ``num_points`` M, and ``oversample_ratio`` and
            ``importance_sample_ratio`` of the points (see ``get_uncertain_point_coords_with_randomness``).
        kwargs: ``strides``, which published configs give, has no use; others are refused.

    Raises:
        TypeError: an argument has another name.
        ValueError: the pixel decoder gives fewer maps.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        feat_channels: int,
        out_channels: int,
        num_things_classes: int = 80,
        num_stuff_classes: int = 53,
        num_queries: int = 100,
        num_transformer_feat_level: int = 3,
        pixel_decoder: dict | None = None,
        enforce_decoder_input_project: bool = False,
        transformer_decoder: dict | None = None,
        positional_encoding: dict | None = None,
        loss_cls: Any = None,
        loss_mask: Any = None,
        loss_dice: Any = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels,
            feat_channels,
            out_channels,
            num_things_classes,
            num_stuff_classes,
            num_queries,
            pixel_decoder,
            enforce_decoder_input_project,
            transformer_decoder,
            positional_encoding,
            loss_cls,
            loss_mask,
            loss_dice,
            train_cfg,
            test_cfg,
            init_cfg,
            num_transformer_feat_level=num_transformer_feat_level,
            **kwargs,
        )
        self.num_transformer_decoder_layers = len(self.transformer_decoder.layers)
        self.num_heads = self.transformer_decoder.layers[0].attentions[0].num_heads
        settings = self.train_cfg or {}
        for name, default in POINT_SETTINGS.items():
            setattr(self, name, settings.get(name, default))

    def _init_queries(
        self,
        in_channels: Sequence[int],
        feat_channels: int,
        positional_encoding: dict,
        enforce: bool,
        num_transformer_feat_level: int = 3,
        **kwargs: Any,
    ) -> None:
        """See :class:`MaskFormerHead`."""
        refuse_unused(self, kwargs.keys() - {'strides'})  # published configs give them to the head, too
        given = getattr(self.pixel_decoder, 'num_outs', num_transformer_feat_level)
        if given < num_transformer_feat_level:
            raise ValueError(
                f'num_transformer_feat_level: the pixel decoder gives {given} maps (num_outs), '
                f'got {num_transformer_feat_level}'
            )
        self.num_transformer_feat_level = num_transformer_feat_level
        levels = range(num_transformer_feat_level)
        self.decoder_input_projs = ModuleList(self._projection(feat_channels, enforce) for _ in levels)
        self.decoder_positional_encoding = build_positional_encoding(positional_encoding)
        self.query_embed = nn.Embedding(self.num_queries, feat_channels)
        self.query_feat = nn.Embedding(self.num_queries, feat_channels)
        self.level_embed = nn.Embedding(num_transformer_feat_level, feat_channels)

    _init_matrix = staticmethod(nn.init.xavier_normal_)

    def _projections(self) -> Sequence[nn.Module]:
        return self.decoder_input_projs

    def _matching_masks(self, mask_pred: Tensor, gt_masks: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (Q, M) and ground truth (G, M) at M random points, the same for all."""
        points = torch.rand((1, self.num_points, 2), device=mask_pred.device)
        # (n, h, w) -> (1, n, h, w) -> (n, M)
        return point_sample(mask_pred[None], points)[0], point_sample(gt_masks.to(mask_pred)[None], points)[0]

    def _loss_masks(self, mask_preds: Tensor, mask_targets: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (P, M) and targets (P, M) at M points of each mask, where it is uncertain the most of them."""
        preds = mask_preds[:, None]
        with torch.no_grad():
            points = get_uncertain_point_coords_with_randomness(
                preds, None, self.num_points, self.oversample_ratio, self.importance_sample_ratio
            )
            targets = point_sample(mask_targets[:, None].to(preds), points)[:, 0]
        return point_sample(preds, points)[:, 0], targets

    def forward_head(
        self, decoder_out: Tensor, mask_feature: Tensor, attn_mask_target_size: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predictions of the queries as they are now.

        Args:
            decoder_out: (Q, N, C) queries.
            mask_feature: (N, out_channels, h, w).
            attn_mask_target_size: height and width of the map that the next layer looks at, (H_l, W_l).

        Returns:
            (N, Q, K + 1) logits of the classes, (N, Q, h, w) logits of the masks, and what the next layer must not look
            at: (N * heads, Q, H_l * W_l) bool.
        """
        states = self.transformer_decoder.post_norm(decoder_out).transpose(0, 1)
        masks = torch.einsum('nqc,nchw->nqhw', self.mask_embed(states), mask_feature)
        return self.cls_embed(states), masks, hidden_cells(masks, attn_mask_target_size, self.num_heads)

    def forward(self, feats: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[list[Tensor], list[Tensor]]:
        """Predictions of the queries before the decoder and after each of its layers.

        Args:
            feats: maps (N, in_channels, H_l, W_l), the finest first.
            img_metas: not used.

        Returns:
            layers + 1 times (N, Q, K + 1) logits of the classes, and as often (N, Q, h, w) logits of the masks.
        """
        mask_features, maps = self.pixel_decoder(feats)
        maps = maps[: self.num_transformer_feat_level]
        shapes = sizes_of_maps(maps)
        cells = [  # (h * w, N, C) each
            proj(feat).flatten(2).permute(2, 0, 1) + embed
            for proj, feat, embed in zip(self.decoder_input_projs, maps, self.level_embed.weight)
        ]
        # padding is looked at like the rest, so that one encoding serves all images
        masks = [mask_features.new_zeros((1, *shape), dtype=torch.bool) for shape in shapes]
        positions = [self.decoder_positional_encoding(mask).flatten(2).permute(2, 0, 1) for mask in masks]
        number = len(mask_features)
        query, query_pos = (
            table.weight[:, None].expand(-1, number, -1) for table in (self.query_feat, self.query_embed)
        )
        outs = [self.forward_head(query, mask_features, shapes[0])]
        for i, layer in enumerate(self.transformer_decoder.layers):
            level, following = (n % len(maps) for n in (i, i + 1))
            attentions = [name for name in layer.operation_order if name.endswith('attn')]
            query = layer(
                query=query,
                key=cells[level],
                value=cells[level],
                query_pos=query_pos,
                key_pos=positions[level],
                attn_masks=[outs[-1][2] if name == 'cross_attn' else None for name in attentions],
                query_key_padding_mask=None,
                key_padding_mask=None,
            )
            outs.append(self.forward_head(query, mask_features, shapes[following]))
        return [out[0] for out in outs], [out[1] for out in outs]
