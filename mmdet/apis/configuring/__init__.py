"""A training config made from annotations: reading them in the usual formats, and choosing what fits them."""

from mmdet.apis.configuring.annotations import AnnotatedImage, AnnotationError, Box
from mmdet.apis.configuring.make import Made, Request, make_config
from mmdet.apis.configuring.read import read_annotations

__all__ = ['AnnotatedImage', 'AnnotationError', 'Box', 'Made', 'Request', 'make_config', 'read_annotations']
