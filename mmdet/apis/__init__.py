"""The calls that a program makes: build, train, test, detect, draw."""

from mmdet.apis.configuring.make import make_config
from mmdet.apis.inference import (
    async_inference_detector,
    inference_detector,
    init_detector,
    show_result_pyplot,
)
from mmdet.apis.prediction.detections import to_supervision
from mmdet.apis.test import multi_gpu_test, single_gpu_test
from mmdet.apis.train import init_random_seed, set_random_seed, train_detector
from mmdet.utils.logger import get_root_logger

__all__ = [
    'async_inference_detector',
    'get_root_logger',
    'inference_detector',
    'init_detector',
    'init_random_seed',
    'make_config',
    'multi_gpu_test',
    'set_random_seed',
    'show_result_pyplot',
    'single_gpu_test',
    'to_supervision',
    'train_detector',
]
