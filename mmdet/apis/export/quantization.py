"""Exported files with weights and activations of 8 bits, by onnxruntime's static quantisation."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmcv import Config
from mmcv.parallel import collate

from mmdet.apis.export.detector import ONNXDetector
from mmdet.apis.export.graph import ExportError
from mmdet.apis.export.onnx_file import save_onnx
from mmdet.apis.export.requirements import require_onnx
from mmdet.apis.loaders import train_pipeline
from mmdet.apis.stage_configs import leaf_datasets
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.utils import replace_ImageToTensor
from mmdet.utils.running.parallel import unpack

QUANTIZED = ('Conv', 'Gemm', 'MatMul')  # operators; nearly all the time of a detector goes into them


def quantize_onnx(
    path: str | os.PathLike[str], out: str | os.PathLike[str], cfg: Config, images: int = 100
) -> dict[str, Any]:
    """Write an 8-bit version of an exported file.

    The ranges of activations are those that images of the config's training sets take, evenly chosen, in the test
    pipeline; weights have a scale for each channel. See https://arxiv.org/abs/1712.05877.

    Args:
        path: ``.onnx`` file of :func:`mmdet.apis.export.export_detector`, by ``batch_size=1``: onnxruntime does not
            quantise inside of a loop over images.
        out: the file to write.
        cfg: the detector's config.
        images: how many images are looked at.

    Returns:
        the metadata of the file: those of ``path``, and ``quantized``, the number of images.

    Raises:
        ExportError: the file works on any number of images, or is quantised already.
    """
    require_onnx()
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    if Path(out).resolve() == Path(path).resolve():
        raise ExportError(f'{out}: expected another file than the one that is read')
    detector = ONNXDetector(path, cfg)
    model = onnx.load(os.fspath(path))
    if any(node.op_type == 'Scan' for node in model.graph.node):
        raise ExportError(
            f'{path} takes any number of images: export it by batch_size=1 (--batch-size 1) to quantise it'
        )
    if 'quantized' in detector.metadata:
        raise ExportError(f'{path} is quantised already')

    class Calibration(CalibrationDataReader):
        """Hands out inputs, then None."""

        def __init__(self) -> None:
            self.left = calibration_feeds(detector, images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next inputs."""
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as folder:
        quantize_static(
            model,
            f'{folder}/quantized.onnx',
            Calibration(),
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantized = onnx.load(f'{folder}/quantized.onnx')
    metadata = {**detector.metadata, 'quantized': images}
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    save_onnx(quantized, out, metadata)
    return metadata


def calibration_feeds(detector: ONNXDetector, images: int) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of a file from images of the training sets of its config, evenly chosen from all of them.

    Raises:
        ExportError: there is no image.
    """
    cfg: Any = detector.cfg
    pipeline = replace_ImageToTensor(train_pipeline(cfg.data.test))
    leaves = [{**leaf, 'pipeline': pipeline, 'test_mode': True} for leaf in leaf_datasets(cfg.data.train)]
    datasets = [build_dataset(leaf) for leaf in leaves]
    places = [(dataset, index) for dataset in datasets for index in range(len(dataset))]
    if not places:
        raise ExportError('data.train has no image to take the ranges of activations from')
    for number in np.unique(np.linspace(0, len(places) - 1, min(images, len(places))).astype(int)):
        dataset, index = places[number]
        batch = unpack(collate([dataset[index]], samples_per_gpu=1), 'cpu')
        yield from detector.feeds(batch['img'][0], batch['img_metas'][0])


__all__ = ['calibration_feeds', 'quantize_onnx']
