"""Another spelling of :mod:`mmdet.datasets.pipelines.custom_formatting`, for configs that import it."""

from mmdet.datasets.pipelines.custom_formatting import AddFieldToImgMetas, ExtraFormatBundle, RobustCollect

__all__ = ['AddFieldToImgMetas', 'ExtraFormatBundle', 'RobustCollect']
