"""Building blocks of models."""

from mmdet.models.utils.brick_wrappers import AdaptiveAvgPool2d, adaptive_avg_pool2d
from mmdet.models.utils.builder import build_linear_layer, build_transformer
from mmdet.models.utils.ckpt_convert import pvt_convert
from mmdet.models.utils.conv_upsample import ConvUpsample
from mmdet.models.utils.csp_layer import CSPLayer
from mmdet.models.utils.gaussian_target import gaussian_radius, gen_gaussian_target
from mmdet.models.utils.inverted_residual import InvertedResidual
from mmdet.models.utils.make_divisible import make_divisible
from mmdet.models.utils.misc import interpolate_as, sigmoid_geometric_mean
from mmdet.models.utils.normed_predictor import NormedConv2d, NormedLinear
from mmdet.models.utils.panoptic_gt_processing import preprocess_panoptic_gt
from mmdet.models.utils.point_sample import get_uncertain_point_coords_with_randomness, get_uncertainty
from mmdet.models.utils.positional_encoding import LearnedPositionalEncoding, SinePositionalEncoding
from mmdet.models.utils.res_layer import ResLayer, SimplifiedBasicBlock
from mmdet.models.utils.se_layer import DyReLU, SELayer
from mmdet.models.utils.transformers.detr_transformer import (
    DetrTransformerDecoder,
    DetrTransformerDecoderLayer,
    Transformer,
)
from mmdet.models.utils.transformers.dynamic_conv import DynamicConv
from mmdet.models.utils.transformers.patch_embed import PatchEmbed, nchw_to_nlc, nlc_to_nchw

__all__ = [
    'AdaptiveAvgPool2d',
    'CSPLayer',
    'ConvUpsample',
    'DetrTransformerDecoder',
    'DetrTransformerDecoderLayer',
    'DyReLU',
    'DynamicConv',
    'InvertedResidual',
    'LearnedPositionalEncoding',
    'NormedConv2d',
    'NormedLinear',
    'PatchEmbed',
    'ResLayer',
    'SELayer',
    'SimplifiedBasicBlock',
    'SinePositionalEncoding',
    'Transformer',
    'adaptive_avg_pool2d',
    'build_linear_layer',
    'build_transformer',
    'gaussian_radius',
    'gen_gaussian_target',
    'get_uncertain_point_coords_with_randomness',
    'get_uncertainty',
    'interpolate_as',
    'make_divisible',
    'preprocess_panoptic_gt',
    'nchw_to_nlc',
    'nlc_to_nchw',
    'pvt_convert',
    'sigmoid_geometric_mean',
]
