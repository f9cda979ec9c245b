"""What must be installed to export a detector."""

import importlib

import torch

from mmdet.apis.export.graph import ExportError

LEAST_TORCH = (
    2,
    14,
)  # the release that the detectors were exported by; what older ones trace and translate is not known


def torch_release() -> tuple[int, int]:
    """Major and minor number of the installed torch."""
    major, minor = torch.__version__.split('.')[:2]
    return int(major), int(minor)


def require_torch() -> None:
    """Refuse a torch whose exporter is not known to do.

    Raises:
        ExportError: names the release that is needed.
    """
    if torch_release() < LEAST_TORCH:
        least = '.'.join(map(str, LEAST_TORCH))
        raise ExportError(f'export needs torch {least} or newer, this is torch {torch.__version__}')


def require_onnx() -> None:
    """Refuse an installation that cannot write ONNX files.

    Raises:
        ExportError: names the package, or the release of torch, that is missing.
    """
    require_torch()
    for package in ('onnx', 'onnxscript'):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ExportError(f'export to ONNX needs the package {package}: pip install onnx onnxscript') from error


__all__ = ['LEAST_TORCH', 'require_onnx', 'require_torch']
