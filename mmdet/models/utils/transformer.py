"""The parts of transformers, under the module path of mmdetection 2.x."""

from mmdet.models.utils.deformable_detr_transformer import (
    DeformableDetrTransformer,
    DeformableDetrTransformerDecoder,
    inverse_sigmoid,
)
from mmdet.models.utils.detr_transformer import (
    DetrTransformerDecoder,
    DetrTransformerDecoderLayer,
    DetrTransformerEncoder,
    Transformer,
)
from mmdet.models.utils.dynamic_conv import DynamicConv

__all__ = [
    'DeformableDetrTransformer',
    'DeformableDetrTransformerDecoder',
    'DetrTransformerDecoder',
    'DetrTransformerDecoderLayer',
    'DetrTransformerEncoder',
    'DynamicConv',
    'Transformer',
    'inverse_sigmoid',
]
