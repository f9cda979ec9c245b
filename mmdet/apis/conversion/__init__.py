"""Weights of other libraries' detectors for ours, and back."""

from mmdet.apis.conversion.detectron2 import detectron2_to_mmdet, read_arrays, read_detectron2_file
from mmdet.apis.conversion.mmdet3_config import config_of_mmdet3
from mmdet.apis.conversion.mmdet3_weights import classes_of_mmdet3, weights_of_mmdet3
from mmdet.apis.conversion.rules import ConversionError
from mmdet.apis.conversion.torchvision import mmdet_to_torchvision, torchvision_to_mmdet

__all__ = [
    'ConversionError',
    'classes_of_mmdet3',
    'config_of_mmdet3',
    'detectron2_to_mmdet',
    'mmdet_to_torchvision',
    'read_arrays',
    'read_detectron2_file',
    'torchvision_to_mmdet',
    'weights_of_mmdet3',
]
