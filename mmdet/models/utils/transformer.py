"""The parts of transformers, under the module path of mmdetection 2.x."""

from mmdet.models.utils.transformers.deformable_detr_transformer import (
    DeformableDetrTransformer,
    DeformableDetrTransformerDecoder,
    inverse_sigmoid,
)
from mmdet.models.utils.transformers.detr_transformer import (
    DetrTransformerDecoder,
    DetrTransformerDecoderLayer,
    DetrTransformerEncoder,
    Transformer,
)
from mmdet.models.utils.transformers.dynamic_conv import DynamicConv
from mmdet.models.utils.transformers.patch_embed import (
    AdaptivePadding,
    PatchEmbed,
    PatchMerging,
    nchw_to_nlc,
    nlc_to_nchw,
)

__all__ = [
    'AdaptivePadding',
    'DeformableDetrTransformer',
    'DeformableDetrTransformerDecoder',
    'DetrTransformerDecoder',
    'DetrTransformerDecoderLayer',
    'DetrTransformerEncoder',
    'DynamicConv',
    'PatchEmbed',
    'PatchMerging',
    'Transformer',
    'inverse_sigmoid',
    'nchw_to_nlc',
    'nlc_to_nchw',
]
