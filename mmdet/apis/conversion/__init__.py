"""Weights of other libraries' detectors for ours, and back."""

from mmdet.apis.conversion.detectron2 import detectron2_to_mmdet, read_arrays, read_detectron2_file
from mmdet.apis.conversion.rules import ConversionError
from mmdet.apis.conversion.torchvision import mmdet_to_torchvision, torchvision_to_mmdet

__all__ = [
    'ConversionError',
    'detectron2_to_mmdet',
    'mmdet_to_torchvision',
    'read_arrays',
    'read_detectron2_file',
    'torchvision_to_mmdet',
]
