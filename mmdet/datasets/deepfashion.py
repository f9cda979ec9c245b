"""DeepFashion."""

from mmdet.core.evaluation import class_lists
from mmdet.core.visualization.dataset_colours import DEEPFASHION_PALETTE
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.registry import DATASETS


@DATASETS.register_module()
class DeepFashionDataset(CocoDataset):
    """DeepFashion with annotations in COCO's format; arguments are those of :class:`CocoDataset`."""

    CLASSES = class_lists.DEEPFASHION
    PALETTE = DEEPFASHION_PALETTE
