"""Layers that configs put into other layers."""

from mmdet.models.plugins.dropblock import DropBlock
from mmdet.models.plugins.msdeformattn_pixel_decoder import MSDeformAttnPixelDecoder
from mmdet.models.plugins.pixel_decoder import PixelDecoder, TransformerEncoderPixelDecoder

__all__ = ['DropBlock', 'MSDeformAttnPixelDecoder', 'PixelDecoder', 'TransformerEncoderPixelDecoder']
