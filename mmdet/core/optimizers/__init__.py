"""Optimizers and how parameters are divided among their groups."""

from mmdet.core.optimizers.builder import OPTIMIZER_BUILDERS, build_optimizer
from mmdet.core.optimizers.layer_decay_optimizer_constructor import LearningRateDecayOptimizerConstructor

__all__ = ['LearningRateDecayOptimizerConstructor', 'OPTIMIZER_BUILDERS', 'build_optimizer']
