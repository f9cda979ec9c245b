"""The parts of transformers, under the module path of mmdetection 2.x."""

from mmdet.models.utils.dynamic_conv import DynamicConv

__all__ = ['DynamicConv']
