"""The former name of :mod:`mmdet.datasets.pipelines.formatting`, which mmdetection 2.x configs may import."""

import warnings

from mmdet.datasets.pipelines.formatting import (
    Collect,
    DefaultFormatBundle,
    ImageToTensor,
    ToDataContainer,
    ToTensor,
    Transpose,
    WrapFieldsToLists,
    to_tensor,
)

warnings.warn(
    'mmdet.datasets.pipelines.formating is now mmdet.datasets.pipelines.formatting', DeprecationWarning, stacklevel=2
)

__all__ = [
    'Collect',
    'DefaultFormatBundle',
    'ImageToTensor',
    'ToDataContainer',
    'ToTensor',
    'Transpose',
    'WrapFieldsToLists',
    'to_tensor',
]
