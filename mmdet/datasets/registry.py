"""The registries of data sets and pipeline steps; below everything that registers itself in them."""

from mmdet.utils.registry import Registry

DATASETS = Registry('dataset')
PIPELINES = Registry('pipeline')
