"""Networks that turn images into feature maps."""

from mmdet.models.backbones.convnext import ConvNeXt
from mmdet.models.backbones.csp_darknet import CSPDarknet
from mmdet.models.backbones.darknet import Darknet
from mmdet.models.backbones.detectors_resnet import DetectoRS_ResNet
from mmdet.models.backbones.detectors_resnext import DetectoRS_ResNeXt
from mmdet.models.backbones.efficientnet import EfficientNet
from mmdet.models.backbones.hourglass import HourglassNet
from mmdet.models.backbones.hrnet import HRNet
from mmdet.models.backbones.mobilenet_v1 import MobileNetV1
from mmdet.models.backbones.mobilenet_v2 import MobileNetV2
from mmdet.models.backbones.mobilenet_v3 import MobileNetV3
from mmdet.models.backbones.pvt import PyramidVisionTransformer, PyramidVisionTransformerV2
from mmdet.models.backbones.regnet import RegNet
from mmdet.models.backbones.res2net import Res2Net
from mmdet.models.backbones.resnest import ResNeSt
from mmdet.models.backbones.resnet import ResNet, ResNetV1d
from mmdet.models.backbones.resnext import ResNeXt
from mmdet.models.backbones.ssd_vgg import SSDVGG
from mmdet.models.backbones.swin import SwinTransformer
from mmdet.models.backbones.timm_backbone import TIMMBackbone
from mmdet.models.backbones.trident_resnet import TridentResNet
from mmdet.models.backbones.vgg import VGG

__all__ = [
    'DetectoRS_ResNeXt',
    'DetectoRS_ResNet',
    'TridentResNet',
    'CSPDarknet',
    'ConvNeXt',
    'Darknet',
    'EfficientNet',
    'HRNet',
    'HourglassNet',
    'MobileNetV1',
    'MobileNetV2',
    'MobileNetV3',
    'PyramidVisionTransformer',
    'PyramidVisionTransformerV2',
    'RegNet',
    'Res2Net',
    'ResNeSt',
    'ResNeXt',
    'ResNet',
    'ResNetV1d',
    'VGG',
    'SwinTransformer',
    'TIMMBackbone',
    'SSDVGG',
]
