"""A detector into a file: ONNX, or a program of torch.export."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmcv import Config
from torch import nn

from mmdet.apis.export.graph import DetectorGraph, ExportError
from mmdet.apis.export.onnx_file import onnx_model, save_onnx
from mmdet.apis.export.preprocessing import ImageInput, read_preprocessing
from mmdet.apis.export.program import export_program
from mmdet.apis.export.requirements import require_onnx
from mmdet.version import __version__

ONNX, PROGRAM = SUFFIXES = ('.onnx', '.pt2')


class ExportOptions(NamedTuple):
    """How a detector is exported.

    Attributes:
        batch_size: images that the file takes at a time; 0: any number of them, which are worked on one after the
            other. Only ONNX files can take any number.
        size: height and width px of the input that is traced.
        dynamic_size: the file takes other sizes as well.
        with_sizes: besides the images, the file takes their heights and widths without padding (``sizes``); without,
            boxes are clipped to the padded image.
        raw: leave the last suppression to the caller: the best candidates come out.
        preprocessing: ``'bgr'`` or ``'rgb'``: in place of normalised images the file takes (N, H, W, 3) uint8 of any
            size, channels in that order, and gives boxes in their pixels. None: it does not.
        canvas: with ``preprocessing``, height and width px of the network's input, in which each image is fitted. None:
            what images that are wider than high need at the scale of the test pipeline.
    """

    batch_size: int = 0
    size: tuple[int, int] = (256, 320)
    dynamic_size: bool = True
    with_sizes: bool = True
    raw: bool = False
    preprocessing: str | None = None
    canvas: tuple[int, int] | None = None


def export_detector(
    model: nn.Module, path: str | os.PathLike[str], options: ExportOptions | None = None
) -> dict[str, Any]:
    """Write a detector of :func:`mmdet.apis.init_detector` to a file that needs neither mmdet nor its config.

    Args:
        model: the detector, with ``cfg`` and ``CLASSES``; not changed.
        path: ends in ``.onnx``, or in ``.pt2`` for a program that ``torch.export.load`` reads; the latter needs mmdet's
            operators, which ``import mmdet.apis.export`` registers.
        options: see there; None: its defaults.

    Returns:
        what the file says of itself (ONNX: its metadata, each value as JSON): ``detector``, ``classes``, ``outputs``,
        ``normalisation`` (``mean``, ``std``, ``to_rgb``), ``size_divisor`` of the test pipeline's padding,
        ``side_divisor`` of the sides that the file takes (0: those traced), ``scale`` of the test pipeline,
        ``mask_threshold``, ``raw``, ``preprocessing``, ``canvas``, ``config_hash``, ``mmdet_version``.

    Raises:
        ExportError: the detector, or a part of it, cannot be exported; it is named.
    """
    path, options = Path(path), options or ExportOptions()
    if path.suffix not in SUFFIXES:
        raise ExportError(f'{path}: expected a name that ends in {" or ".join(SUFFIXES)}')
    if path.suffix == ONNX:
        require_onnx()
    elif not options.batch_size:
        options = options._replace(batch_size=1)
    graph = traced_module(model, options)
    program, divisor = export_program(graph, options.batch_size or 1, options.size, options.dynamic_size)
    canvas = getattr(graph, 'canvas', None)
    metadata = {**describe(model, options), 'outputs': graph.names, 'side_divisor': divisor, 'canvas': canvas}
    if path.suffix == ONNX:
        save_onnx(onnx_model(program, graph.names, not options.batch_size), path, metadata)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.export.save(program, path, extra_files={'metadata.json': json.dumps(metadata)})
    return metadata


def traced_module(model: nn.Module, options: ExportOptions) -> DetectorGraph | ImageInput:
    """The detector as a module of tensors, with its preprocessing where the options ask for it."""
    graph = DetectorGraph(model, options.raw, options.with_sizes)
    if options.preprocessing is None:
        return graph
    cfg: Any = getattr(model, 'cfg', None) or Config()
    steps = read_preprocessing(list(_steps(_test_pipeline(cfg))))
    return ImageInput(graph, steps, options.canvas or steps.canvas(), options.preprocessing)


def describe(model: nn.Module, options: ExportOptions) -> dict[str, Any]:
    """What a consumer must know of a detector, from its config."""
    cfg: Any = getattr(model, 'cfg', None) or Config()
    steps = list(_steps(_test_pipeline(cfg)))
    settings = getattr(getattr(model, 'roi_head', model), 'test_cfg', None) or {}
    normalise = _first(steps, 'Normalize', 'mean', 'std', 'to_rgb')
    return dict(
        detector=type(model).__name__,
        classes=list(getattr(model, 'CLASSES', None) or ()),
        normalisation=normalise and {'to_rgb': True, **normalise},
        size_divisor=_first(steps, 'Pad', 'size_divisor').get('size_divisor') or 1,
        scale=_first(steps, 'MultiScaleFlipAug', 'img_scale').get('img_scale'),
        keep_ratio=_first(steps, 'Resize', 'keep_ratio').get('keep_ratio', True),
        mask_threshold=settings.get('mask_thr_binary'),
        raw=options.raw,
        preprocessing=options.preprocessing,
        config_hash=config_hash(cfg),
        mmdet_version=__version__,
    )


def config_hash(cfg: Config) -> str:
    """The same for configs of the same content, wherever their files lie."""
    text = json.dumps(cfg._cfg_dict.to_dict(), sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _test_pipeline(cfg: Any) -> list[Mapping[str, Any]]:
    test = (cfg.get('data') or {}).get('test') or {}
    test = test[0] if isinstance(test, list | tuple) else test
    return test.get('pipeline') or []


def _steps(pipeline: list[Mapping[str, Any]]) -> Any:
    """The steps of a pipeline, and those inside of them."""
    for step in pipeline:
        yield step
        yield from _steps(step.get('transforms') or [])


def _first(steps: list[Mapping[str, Any]], kind: str, *names: str) -> dict[str, Any]:
    """Arguments of the first step of a kind; empty without such a step."""
    for step in steps:
        if step['type'] == kind:
            return {name: step[name] for name in names if name in step}
    return {}


__all__ = ['ExportOptions', 'config_hash', 'describe', 'export_detector']
