"""The names that mmdetection 2.x offered for its exporter; ``mmdet.apis.export`` is what exports."""

from mmdet.core.export.model_wrappers import DeployBaseDetector, ONNXRuntimeDetector, TensorRTDetector
from mmdet.core.export.onnx_helper import add_dummy_nms_for_onnx, dynamic_clip_for_onnx, get_k_for_topk
from mmdet.core.export.pytorch2onnx import (
    build_model_from_cfg,
    generate_inputs_and_wrap_model,
    preprocess_example_input,
)

__all__ = [
    'DeployBaseDetector',
    'ONNXRuntimeDetector',
    'TensorRTDetector',
    'add_dummy_nms_for_onnx',
    'build_model_from_cfg',
    'dynamic_clip_for_onnx',
    'generate_inputs_and_wrap_model',
    'get_k_for_topk',
    'preprocess_example_input',
]
