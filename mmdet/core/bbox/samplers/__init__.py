"""Samplers: which of the assigned boxes enter the loss."""

from mmdet.core.bbox.samplers.base_sampler import BaseSampler
from mmdet.core.bbox.samplers.combined_sampler import CombinedSampler
from mmdet.core.bbox.samplers.custom_sampler import (
    BasicSamplerWithIgnore,
    OHEMSamplerWithIgnore,
    RandomSamplerWithIgnore,
)
from mmdet.core.bbox.samplers.instance_balanced_pos_sampler import InstanceBalancedPosSampler
from mmdet.core.bbox.samplers.iou_balanced_neg_sampler import IoUBalancedNegSampler
from mmdet.core.bbox.samplers.mask_pseudo_sampler import MaskPseudoSampler
from mmdet.core.bbox.samplers.mask_sampling_result import MaskSamplingResult
from mmdet.core.bbox.samplers.ohem_sampler import OHEMSampler
from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler
from mmdet.core.bbox.samplers.random_sampler import RandomSampler
from mmdet.core.bbox.samplers.sampling_result import SamplingResult
from mmdet.core.bbox.samplers.score_hlr_sampler import ScoreHLRSampler

__all__ = [
    'BaseSampler',
    'BasicSamplerWithIgnore',
    'CombinedSampler',
    'IoUBalancedNegSampler',
    'InstanceBalancedPosSampler',
    'MaskPseudoSampler',
    'MaskSamplingResult',
    'OHEMSampler',
    'OHEMSamplerWithIgnore',
    'PseudoSampler',
    'RandomSampler',
    'RandomSamplerWithIgnore',
    'SamplingResult',
    'ScoreHLRSampler',
]
