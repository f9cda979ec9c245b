"""Detections of images, folders, lists, videos and cameras, and their outputs."""

from mmdet.apis.prediction.augmentation import AugmentationError, with_augmentation
from mmdet.apis.prediction.detections import Detections, flatten_result, to_result, to_supervision
from mmdet.apis.prediction.predictor import Prediction, Predictor
from mmdet.apis.prediction.run import KINDS, Numbering, Outputs, Summary, run
from mmdet.apis.prediction.sources import Item, Source, open_source
from mmdet.apis.prediction.tiles import Tiling, TilingError, merge_tiles, tile_windows
from mmdet.apis.prediction.writers import OutputError, can_show

__all__ = [
    'KINDS',
    'AugmentationError',
    'Detections',
    'Item',
    'Numbering',
    'OutputError',
    'Outputs',
    'Prediction',
    'Predictor',
    'Source',
    'Summary',
    'Tiling',
    'TilingError',
    'can_show',
    'flatten_result',
    'merge_tiles',
    'open_source',
    'run',
    'tile_windows',
    'to_result',
    'to_supervision',
    'with_augmentation',
]
