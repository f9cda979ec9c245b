"""Optimizers and how parameters are divided among their groups."""

from .builder import OPTIMIZER_BUILDERS, build_optimizer
from .layer_decay_optimizer_constructor import LearningRateDecayOptimizerConstructor

__all__ = ['LearningRateDecayOptimizerConstructor', 'OPTIMIZER_BUILDERS', 'build_optimizer']
