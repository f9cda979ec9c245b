"""Data sets, their wrappers, samplers and pipelines; importing this package registers them."""

from .audit import AuditError, audit_dataset
from .builder import DATASETS, PIPELINES, build_dataloader, build_dataset
from .cityscapes import CityscapesDataset
from .coco import CocoDataset
from .coco_keypoints import CocoKeypointDataset
from .coco_occluded import OccludedSeparatedCocoDataset
from .coco_panoptic import CocoPanopticDataset
from .custom import CustomDataset
from .dataset_wrappers import ClassBalancedDataset, ConcatDataset, MultiImageMixDataset, RepeatDataset
from .deepfashion import DeepFashionDataset
from .lvis import LVISDataset, LVISV05Dataset, LVISV1Dataset
from .my_coco import MyCocoDataset
from .objects365 import Objects365V1Dataset, Objects365V2Dataset
from .openimages import OpenImagesChallengeDataset, OpenImagesDataset
from .samplers import DistributedGroupSampler, DistributedSampler, GroupSampler
from .utils import NumClassCheckHook, get_loading_pipeline, replace_ImageToTensor
from .voc import VOCDataset
from .wider_face import WIDERFaceDataset
from .xml_style import XMLDataset

__all__ = [
    'AuditError',
    'CityscapesDataset',
    'ClassBalancedDataset',
    'CocoDataset',
    'CocoKeypointDataset',
    'CocoPanopticDataset',
    'ConcatDataset',
    'CustomDataset',
    'DATASETS',
    'DeepFashionDataset',
    'DistributedGroupSampler',
    'DistributedSampler',
    'GroupSampler',
    'LVISDataset',
    'LVISV05Dataset',
    'LVISV1Dataset',
    'MultiImageMixDataset',
    'MyCocoDataset',
    'NumClassCheckHook',
    'Objects365V1Dataset',
    'Objects365V2Dataset',
    'OccludedSeparatedCocoDataset',
    'OpenImagesChallengeDataset',
    'OpenImagesDataset',
    'PIPELINES',
    'RepeatDataset',
    'VOCDataset',
    'WIDERFaceDataset',
    'XMLDataset',
    'audit_dataset',
    'build_dataloader',
    'build_dataset',
    'get_loading_pipeline',
    'replace_ImageToTensor',
]
