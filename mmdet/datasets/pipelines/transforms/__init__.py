"""Steps that change the image and what lies on it; one concept a file."""

from .affine import RandomAffine
from .center_crop import RandomCenterCropPad
from .colour import PhotoMetricDistortion, YOLOXHSVRandomAug
from .copy_paste import CopyPaste
from .crop import MinIoURandomCrop, RandomCrop
from .cutout import CutOut
from .expand import Expand, RandomShift
from .flip import RandomFlip
from .mixing import MixUp, Mosaic
from .normalise import Normalize
from .pad import Pad
from .resize import Resize, SegRescale
from .wrappers import Albu, Corrupt

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
