"""The transformer of Deformable DETR (https://arxiv.org/abs/2010.04159).

N: images; Q: queries; C: channels; L: feature maps; S: cells of all of them, map after map. Boxes are centre x, centre
y, w, h as fractions of the image; "unactivated" ones are their logits.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from mmcv.cnn.bricks.registry import TRANSFORMER_LAYER_SEQUENCE
from mmcv.cnn.bricks.transformer import TransformerLayerSequence
from torch import Tensor, nn

from mmdet.models.utils.builder import TRANSFORMER
from mmdet.models.utils.positional_encoding import sine_cosine
from mmdet.models.utils.transformers.detr_transformer import Transformer
from mmdet.ops.multi_scale_deform_attn import MultiScaleDeformableAttention
from mmdet.utils.running.device_copy import tensor_like, to_device

Shapes = Tensor | Sequence[Sequence[int]]  # height and width of each map, on the CPU

TWO_PI = 6.283185307179586
PROPOSAL_SIZE = 0.05  # fraction of the image that a box proposed at a cell of the finest map has; doubles with each map
MARGIN = 0.01  # boxes that come nearer than this to 0 or 1 are not proposed: their logits are too large


def inverse_sigmoid(x: Tensor, eps: float = 1e-5) -> Tensor:
    """The logit of ``x`` in [0, 1]; ``eps`` keeps it finite."""
    x = x.clamp(min=0, max=1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


@TRANSFORMER_LAYER_SEQUENCE.register_module()
class DeformableDetrTransformerDecoder(TransformerLayerSequence):
    """Layers of the decoder, each reading around reference points that the one before may have moved.

    Args:
        args, kwargs: of mmcv's ``TransformerLayerSequence``.
        return_intermediate: give the results of all layers.
    """

    def __init__(self, *args: Any, return_intermediate: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.return_intermediate = return_intermediate

    def forward(
        self,
        query: Tensor,
        *args: Any,
        reference_points: Tensor | None = None,
        valid_ratios: Tensor | None = None,
        reg_branches: Sequence[nn.Module] | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Queries that have seen the image, and their reference points.

        Args:
            query: (Q, N, C).
            args, kwargs: of the layers.
            reference_points: (N, Q, 2) points or (N, Q, 4) boxes.
            valid_ratios: (N, L, 2) fraction of each map's width and height that is no padding.
            reg_branches: for each layer what moves the reference points; None: they stay.

        Returns:
            (layers, Q, N, C) and (layers, N, Q, 2 or 4); without ``return_intermediate`` those of the last layer
            alone, (Q, N, C) and (N, Q, 2 or 4).
        """
        queries, references = [], []
        for number, layer in enumerate(self.layers):
            ratios = valid_ratios.repeat(1, 1, reference_points.size(-1) // 2)
            # reference points are fractions of the image, which fills another fraction of each padded map
            on_maps = reference_points[:, :, None] * ratios[:, None]  # (N, Q, L, 2 or 4)
            query = layer(query, *args, reference_points=on_maps, **kwargs)
            if reg_branches is not None:
                moved = add_reference(reg_branches[number](query.transpose(0, 1)), reference_points)
                # each layer learns its own step only: gradients through all steps of the points would make the first
                # layers unstable
                reference_points = moved.sigmoid().detach()
            queries.append(query)
            references.append(reference_points)
        if self.return_intermediate:
            return torch.stack(queries), torch.stack(references)
        return query, reference_points


def add_reference(unactivated: Tensor, reference: Tensor) -> Tensor:
    """Unactivated boxes (..., 4) relative to reference points (..., 2) or boxes (..., 4) -> unactivated boxes."""
    logits = inverse_sigmoid(reference)
    if logits.size(-1) == 4:
        return unactivated + logits
    return torch.cat([unactivated[..., :2] + logits, unactivated[..., 2:]], dim=-1)


@TRANSFORMER.register_module()
class DeformableDetrTransformer(Transformer):
    """Encoder of several feature maps and decoder of queries.

    Args:
        as_two_stage: the encoder proposes boxes, of which the best become queries.
        num_feature_levels: L.
        two_stage_num_proposals: number of these queries.
        kwargs: ``encoder``, ``decoder``, ``init_cfg``.
    """

    def __init__(
        self,
        as_two_stage: bool = False,
        num_feature_levels: int = 4,
        two_stage_num_proposals: int = 300,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.as_two_stage = as_two_stage
        self.num_feature_levels = num_feature_levels
        self.two_stage_num_proposals = two_stage_num_proposals
        self.init_layers()

    def init_layers(self) -> None:
        """Make the layers outside of encoder and decoder."""
        channels = self.embed_dims
        self.level_embeds = nn.Parameter(torch.empty(self.num_feature_levels, channels).normal_())
        if self.as_two_stage:
            self.enc_output = nn.Linear(channels, channels)
            self.enc_output_norm = nn.LayerNorm(channels)
            self.pos_trans = nn.Linear(channels * 2, channels * 2)
            self.pos_trans_norm = nn.LayerNorm(channels * 2)
        else:
            self.reference_points = nn.Linear(channels, 2)

    def init_weights(self) -> None:
        """Xavier uniform weights, except for the deformable attentions and the encodings of the maps."""
        super().init_weights()
        for module in self.modules():
            if isinstance(module, MultiScaleDeformableAttention):
                module.init_weights()
        if not self.as_two_stage:
            nn.init.zeros_(self.reference_points.bias)
        nn.init.normal_(self.level_embeds)

    def gen_encoder_output_proposals(
        self, memory: Tensor, memory_padding_mask: Tensor, spatial_shapes: Shapes
    ) -> tuple[Tensor, Tensor]:
        """A box at each cell.

        Args:
            memory: (N, S, C) what the encoder made.
            memory_padding_mask: (N, S), True on padding.
            spatial_shapes: (L, 2) height and width of the maps, or L pairs.

        Returns:
            features (N, S, C), made from zeros on padding and at the image's edge; unactivated boxes (N, S, 4),
            infinite there.
        """
        boxes = cell_boxes(memory_padding_mask, _pairs(spatial_shapes))
        usable = ((boxes > MARGIN) & (boxes < 1 - MARGIN)).all(-1, keepdim=True) & ~memory_padding_mask[..., None]
        # infinite: whatever is added to it, the sigmoid is 1, which is a valid number and has no gradient
        unactivated = (boxes / (1 - boxes)).log().masked_fill(~usable, torch.inf)
        return self.enc_output_norm(self.enc_output(memory.masked_fill(~usable, 0.0))), unactivated

    @staticmethod
    def get_reference_points(spatial_shapes: Shapes, valid_ratios: Tensor, device: torch.device) -> Tensor:
        """Middles of all cells, as each map counts: (N, S, L, 2) x and y, 1 being the edge of the padded map.

        Args:
            spatial_shapes: (L, 2) height and width of the maps, or L pairs.
            valid_ratios: (N, L, 2) fraction of each map's width and height that is no padding.
            device: of the result.
        """
        levels = []
        for level, shape in enumerate(_pairs(spatial_shapes)):
            size_wh = tensor_like(shape[::-1], valid_ratios)
            levels.append(cell_middles(*shape, device) / (valid_ratios[:, None, level] * size_wh))
        return torch.cat(levels, 1)[:, :, None] * valid_ratios[:, None]

    def get_valid_ratio(self, mask: Tensor) -> Tensor:
        """``mask`` (N, H, W), True on padding -> (N, 2) fraction of width and of height that is no padding."""
        return valid_size_wh(mask) / to_device(mask.shape[:0:-1], torch.float32, mask.device)

    def get_proposal_pos_embed(self, proposals: Tensor, num_pos_feats: int = 128, temperature: float = 10000) -> Tensor:
        """Unactivated boxes (N, Q, 4) -> encodings (N, Q, 4 * num_pos_feats)."""
        return sine_cosine(proposals.sigmoid() * TWO_PI, num_pos_feats, temperature).flatten(2)

    def forward(
        self,
        mlvl_feats: Sequence[Tensor],
        mlvl_masks: Sequence[Tensor],
        query_embed: Tensor | None,
        mlvl_pos_embeds: Sequence[Tensor],
        reg_branches: Sequence[nn.Module] | None = None,
        cls_branches: Sequence[nn.Module] | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
        """Queries that have seen the image.

        Args:
            mlvl_feats: L maps (N, C, H_l, W_l).
            mlvl_masks: L masks (N, H_l, W_l), True on padding.
            query_embed: (Q, 2 C) where the queries look and what they are; None with ``as_two_stage``.
            mlvl_pos_embeds: L encodings (N, C, H_l, W_l) of where a cell stands.
            reg_branches, cls_branches: predict unactivated boxes and class logits, one for each layer of the decoder,
                then one for the encoder; None: reference points stay, and there is one stage.
            kwargs: more arguments of the layers.

        Returns:
            (layers, Q, N, C) queries; (N, Q, 2 or 4) first reference points; (layers, N, Q, 2 or 4) those after each
            layer; of the encoder, with ``as_two_stage``, (N, S, K) class logits and (N, S, 4) unactivated boxes.
        """
        shapes = [tuple(feat.shape[-2:]) for feat in mlvl_feats]
        cells = torch.cat([feat.flatten(2) for feat in mlvl_feats], 2).permute(2, 0, 1)  # (S, N, C)
        positions = torch.cat(
            [pos.flatten(2) + embed[:, None] for pos, embed in zip(mlvl_pos_embeds, self.level_embeds)], 2
        ).permute(2, 0, 1)
        padding = torch.cat([mask.flatten(1) for mask in mlvl_masks], 1)
        ratios = torch.stack([self.get_valid_ratio(mask) for mask in mlvl_masks], 1)
        common = dict(spatial_shapes=shapes, valid_ratios=ratios, level_start_index=_starts(shapes), **kwargs)
        memory = self.encoder(
            query=cells,
            key=None,
            value=None,
            query_pos=positions,
            query_key_padding_mask=padding,
            reference_points=self.get_reference_points(shapes, ratios, cells.device),
            **common,
        ).transpose(0, 1)
        if self.as_two_stage:
            query_pos, query, reference, *of_encoder = self._propose(
                memory, padding, shapes, reg_branches, cls_branches
            )
        else:
            query_pos, query = query_embed.expand(memory.size(0), -1, -1).chunk(2, dim=2)
            reference, of_encoder = self.reference_points(query_pos).sigmoid(), (None, None)
        states, references = self.decoder(
            query=query.transpose(0, 1),
            key=None,
            value=memory.transpose(0, 1),
            query_pos=query_pos.transpose(0, 1),
            key_padding_mask=padding,
            reference_points=reference,
            reg_branches=reg_branches,
            **common,
        )
        return states, reference, references, *of_encoder

    def _propose(
        self,
        memory: Tensor,
        padding: Tensor,
        shapes: Shapes,
        reg_branches: Sequence[nn.Module],
        cls_branches: Sequence[nn.Module],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Queries from the best boxes of the encoder: where they look, what they are, their boxes; all its boxes."""
        features, anchors = self.gen_encoder_output_proposals(memory, padding, shapes)
        number = self.decoder.num_layers
        logits = cls_branches[number](features)
        unactivated = reg_branches[number](features) + anchors
        # class 0 stands for all objects; the published two-stage weights were trained so
        best = logits[..., 0].topk(min(self.two_stage_num_proposals, logits.size(1)), dim=1).indices
        # without gradient: the encoder's boxes learn by losses of their own, and not from what queries make of them
        chosen = unactivated.gather(1, best[..., None].expand(-1, -1, 4)).detach()
        encoded = self.pos_trans_norm(self.pos_trans(self.get_proposal_pos_embed(chosen)))
        query_pos, query = encoded.chunk(2, dim=2)
        return query_pos, query, chosen.sigmoid(), logits, unactivated


def _pairs(shapes_hw: Shapes) -> list[Sequence[int]]:
    return shapes_hw.tolist() if isinstance(shapes_hw, Tensor) else list(shapes_hw)


def _starts(shapes_hw: Sequence[Sequence[int]]) -> Tensor:
    """Heights and widths of L maps -> (L,) the first cell of each, on the CPU."""
    ends = list(accumulate(height * width for height, width in shapes_hw))
    return to_device([0, *ends[:-1]], torch.long, torch.device('cpu'))


def valid_size_wh(mask: Tensor) -> Tensor:
    """``mask`` (N, H, W), True on padding -> (N, 2) columns and rows of cells that are no padding."""
    return torch.stack([(~mask[:, 0]).sum(1), (~mask[:, :, 0]).sum(1)], -1)


def cell_middles(height: int, width: int, device: torch.device) -> Tensor:
    """(H * W, 2) x and y of the middles of all cells, in cells."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing='ij'
    )
    return torch.stack([x, y], -1).view(-1, 2)


def cell_boxes(padding: Tensor, shapes_hw: Sequence[Sequence[int]]) -> Tensor:
    """A box in the middle of each cell, larger on coarser maps.

    Args:
        padding: (N, S), True on padding.
        shapes_hw: height and width of the maps.

    Returns:
        (N, S, 4).
    """
    levels = []
    for level, (mask, shape) in enumerate(zip(padding.split([h * w for h, w in shapes_hw], 1), shapes_hw)):
        middles = cell_middles(*shape, padding.device) / valid_size_wh(mask.unflatten(1, shape))[:, None]
        levels.append(torch.cat([middles, torch.full_like(middles, PROPOSAL_SIZE * 2**level)], -1))
    return torch.cat(levels, 1)
