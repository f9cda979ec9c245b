"""Steps that change the image and what lies on it; one concept a file."""

from mmdet.datasets.pipelines.transforms.affine import RandomAffine
from mmdet.datasets.pipelines.transforms.center_crop import RandomCenterCropPad
from mmdet.datasets.pipelines.transforms.colour import PhotoMetricDistortion, YOLOXHSVRandomAug
from mmdet.datasets.pipelines.transforms.copy_paste import CopyPaste
from mmdet.datasets.pipelines.transforms.crop import MinIoURandomCrop, RandomCrop
from mmdet.datasets.pipelines.transforms.cutout import CutOut
from mmdet.datasets.pipelines.transforms.expand import Expand, RandomShift
from mmdet.datasets.pipelines.transforms.flip import RandomFlip
from mmdet.datasets.pipelines.transforms.mixing import MixUp, Mosaic
from mmdet.datasets.pipelines.transforms.normalise import Normalize
from mmdet.datasets.pipelines.transforms.pad import Pad
from mmdet.datasets.pipelines.transforms.resize import Resize, SegRescale
from mmdet.datasets.pipelines.transforms.wrappers import Albu, Corrupt

__all__ = [
    'Albu',
    'CopyPaste',
    'Corrupt',
    'CutOut',
    'Expand',
    'MinIoURandomCrop',
    'MixUp',
    'Mosaic',
    'Normalize',
    'Pad',
    'PhotoMetricDistortion',
    'RandomAffine',
    'RandomCenterCropPad',
    'RandomCrop',
    'RandomFlip',
    'RandomShift',
    'Resize',
    'SegRescale',
    'YOLOXHSVRandomAug',
]
