"""Data sets, their wrappers, samplers and pipelines; importing this package registers them."""

from mmdet.datasets.audit.audit import AuditError, audit_dataset
from mmdet.datasets.builder import DATASETS, PIPELINES, build_dataloader, build_dataset
from mmdet.datasets.cityscapes import CityscapesDataset
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.coco_keypoints import CocoKeypointDataset
from mmdet.datasets.coco_occluded import OccludedSeparatedCocoDataset
from mmdet.datasets.coco_panoptic import CocoPanopticDataset
from mmdet.datasets.custom import CustomDataset
from mmdet.datasets.dataset_wrappers import ClassBalancedDataset, ConcatDataset, MultiImageMixDataset, RepeatDataset
from mmdet.datasets.deepfashion import DeepFashionDataset
from mmdet.datasets.lvis import LVISDataset, LVISV05Dataset, LVISV1Dataset
from mmdet.datasets.my_coco import MyCocoDataset
from mmdet.datasets.objects365 import Objects365V1Dataset, Objects365V2Dataset
from mmdet.datasets.openimages import OpenImagesChallengeDataset, OpenImagesDataset
from mmdet.datasets.samplers import DistributedGroupSampler, DistributedSampler, GroupSampler
from mmdet.datasets.utils import NumClassCheckHook, get_loading_pipeline, replace_ImageToTensor
from mmdet.datasets.voc import VOCDataset
from mmdet.datasets.wider_face import WIDERFaceDataset
from mmdet.datasets.xml_style import XMLDataset

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
