"""Detectors as files that run without mmdet: ONNX, and programs of torch.export. See docs/deployment.md."""

from mmdet.apis.export.detector import ONNXDetector, fed_config, is_onnx
from mmdet.apis.export.files import ExportOptions, describe, export_detector
from mmdet.apis.export.graph import DetectorGraph, ExportError, check_exportable
from mmdet.apis.export.onnx_file import read_metadata
from mmdet.apis.export.program import export_program
from mmdet.apis.export.quantization import quantize_onnx

__all__ = [
    'DetectorGraph',
    'ExportError',
    'ExportOptions',
    'ONNXDetector',
    'check_exportable',
    'describe',
    'export_detector',
    'export_program',
    'fed_config',
    'is_onnx',
    'quantize_onnx',
    'read_metadata',
]
