"""Loading weights into a model with a report of what fitted, and saving checkpoints.

A checkpoint is a dict: ``state_dict``, ``meta`` (epoch, iter, config, CLASSES, versions), ``optimizer``, and
``runner_state`` (random states and the place in the data, see :mod:`mmdet.utils.running.runner`).
"""

import logging
import os
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import mmcv
from mmcv.parallel import is_module_wrapper
from mmcv.runner.checkpoint import CheckpointLoader
from terminaltables import AsciiTable
from torch import Tensor, nn
from torch.optim import Optimizer

from mmdet.utils.checkpoints.checkpoint_io import (
    MapLocation,
    UnsafeCheckpointError,
    plain,
    set_checkpoint_trust,
    trust_checkpoints,
    write_file,
)
from mmdet.utils.checkpoints.content_check import check_numbers, usable_content
from mmdet.utils.checkpoints.finite import check_finite
from mmdet.utils.checkpoints.foreign_names import converter_advice
from mmdet.utils.checkpoints.weight_sources import register_schemes
from mmdet.utils.errors import ReportedError
from mmdet.utils.logger import get_root_logger

__all__ = [
    'LoadReport',
    'UnsafeCheckpointError',
    'load_checkpoint',
    'load_state_dict',
    'read_checkpoint',
    'register_schemes',
    'save_checkpoint',
    'set_checkpoint_trust',
    'trust_checkpoints',
    'unwrap_model',
]

SHOWN_NAMES = 10  # of each kind in a report
DATA_PARALLEL_PREFIX = ((r'^module\.', ''),)


class LoadReport(NamedTuple):
    """How a state dict fitted a model; all are parameter or buffer names."""

    loaded: list[str]
    missing: list[str]  # in the model only
    unexpected: list[str]  # in the file only
    mismatched: list[str]  # in both, with different shapes, as 'name: file (80,), model (20,)'

    @property
    def exact(self) -> bool:
        """Whether each name of one is in the other."""
        return not (self.missing or self.unexpected or self.mismatched)

    def table(self, source: str = 'the state dict') -> str:
        """Numbers of tensors by part of the model (``backbone``, ...) and kind, and names of those that misfit."""
        kinds = dict(loaded=self.loaded, missing=self.missing, misshapen=self.mismatched, unexpected=self.unexpected)
        parts = list(dict.fromkeys(name.split('.')[0] for names in kinds.values() for name in names))
        rows: list[list[Any]] = [['part', *kinds]]
        for part in parts:
            rows.append([part, *(sum(name.split('.')[0] == part for name in names) for names in kinds.values())])
        return f'{AsciiTable(rows).table}\n{self.text(source)}'

    def text(self, source: str = 'the state dict') -> str:
        """A line with counts, and one line for each kind of misfit."""
        lines = [f'{len(self.loaded)} tensors loaded from {source}']
        for title, names in (
            ('missing in the file (they keep their initial values)', self.missing),
            ('unexpected in the file (ignored)', self.unexpected),
            ('of another shape or kind (ignored)', self.mismatched),
        ):
            if names:
                more = f' and {len(names) - SHOWN_NAMES} more' if len(names) > SHOWN_NAMES else ''
                lines.append(f'  {len(names)} {title}: {", ".join(names[:SHOWN_NAMES])}{more}')
        advice = converter_advice(self.unexpected, source)
        lines += [f'  {advice}'] if advice else []
        return '\n'.join(lines)


class CheckpointTypeError(ReportedError, TypeError):
    """A file holds something else than a dict."""


class CheckpointMismatchError(ReportedError, RuntimeError):
    """A checkpoint is of another model, or of other classes."""


def unwrap_model(model: nn.Module) -> nn.Module:
    """The model inside data-parallel wrappers."""
    inner: Any = model
    while is_module_wrapper(inner):
        inner = inner.module
    return inner


def load_state_dict(model: nn.Module, state_dict: dict[str, Tensor]) -> LoadReport:
    """Copy every tensor that fits into the model; nothing is raised for those that do not."""
    model = unwrap_model(model)
    state_dict = upgraded(model, state_dict)
    given, own = list(state_dict), model.state_dict()
    # Files made before torch counted batches lack this buffer, which no detector uses, and those of one part lack that
    # of the others. It stays; torch before 2.2 would set it to 0.
    state_dict.update({k: own[k] for k in own if k.endswith('num_batches_tracked') and k not in state_dict})
    misfits = {name: misfit(tensor, own[name]) for name, tensor in state_dict.items() if name in own}
    mismatched = [f'{name}: {text}' for name, text in misfits.items() if text]
    if mismatched:
        kept = OrderedDict((k, v) for k, v in state_dict.items() if not misfits.get(k))
        kept._metadata = getattr(state_dict, '_metadata', None)  # type: ignore[attr-defined]
        state_dict = kept
    result = model.load_state_dict(state_dict, strict=False)
    skipped = {text.split(':', 1)[0] for text in mismatched}
    missing = [k for k in result.missing_keys if k not in skipped]
    unexpected = list(result.unexpected_keys)
    loaded = [name for name in given if name in state_dict and name not in set(unexpected)]
    return LoadReport(loaded, missing, unexpected, mismatched)


def misfit(tensor: Any, own: Any) -> str:
    """Why a tensor of a file cannot be copied into one of a model; empty: it can."""
    if not isinstance(tensor, Tensor) or not isinstance(own, Tensor):
        return '' if isinstance(tensor, Tensor) == isinstance(own, Tensor) else f'file a {type(tensor).__name__}'
    if tensor.shape != own.shape:
        return f'file {tuple(tensor.shape)}, model {tuple(own.shape)}'
    if own.is_floating_point() != tensor.is_floating_point():
        return f'file {tensor.dtype}, model {own.dtype}'
    return ''


def upgraded(model: nn.Module, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy of a state dict in which each module that knows former names of its parameters has renamed them."""
    renamed = OrderedDict(state_dict)
    renamed._metadata = getattr(state_dict, '_metadata', None)  # type: ignore[attr-defined]
    for name, module in model.named_modules():
        if hasattr(module, 'upgrade_state_dict'):
            module.upgrade_state_dict(renamed, f'{name}.' if name else '')
    return renamed


def read_checkpoint(
    filename: str | os.PathLike[str],
    map_location: MapLocation = 'cpu',
    logger: logging.Logger | None = None,
    trusted: bool = False,
) -> dict[str, Any]:
    """The dict of a checkpoint file.

    Args:
        filename: local path, ``torchvision://NAME``, ``http(s)://...``, or a scheme registered with mmcv.
        map_location: as in :func:`torch.load`.
        logger: None means the package's.
        trusted: allow a file that runs code while it is read.

    Raises:
        FileNotFoundError, ConnectionError: there is no such file.
        UnsafeCheckpointError: see :func:`mmdet.utils.checkpoints.checkpoint_io.read_file`.
        CheckpointTypeError: the file holds no dict.
        DamagedCheckpointError: it is damaged, or holds something else than weights by their names.
    """
    with trust_checkpoints(trusted):
        content = CheckpointLoader.load_checkpoint(os.fspath(filename), map_location, logger or get_root_logger())
    if not isinstance(content, dict):
        raise CheckpointTypeError(
            f'{filename}: expected a dict with weights, the file holds a {type(content).__name__}'
        )
    return usable_content(content, os.fspath(filename))


def load_checkpoint(
    model: nn.Module,
    filename: str | os.PathLike[str],
    map_location: MapLocation = 'cpu',
    strict: bool = False,
    logger: logging.Logger | None = None,
    trusted: bool = False,
    revise_keys: Sequence[tuple[str, str]] = DATA_PARALLEL_PREFIX,
    complete: str | None = None,
) -> dict[str, Any]:
    """Load weights from a file into a model and log what did not fit.

    Args:
        model: wrapped or not.
        filename, map_location, logger, trusted: see :func:`read_checkpoint`.
        strict: raise where anything does not fit.
        revise_keys: (pattern, replacement) applied to the file's names; the default takes ``module.`` away.
        complete: refuse a file that leaves a tensor of the model as it was, and say this advice in the error.

    Returns:
        The whole content of the file.

    Raises:
        RuntimeError: ``strict`` and something does not fit, or nothing at all fits.
        CheckpointMismatchError: ``complete`` and a tensor of the model is not in the file, or has another shape.
    """
    content, report = load_with_report(model, filename, map_location, logger, trusted, revise_keys)
    text = report.text(os.fspath(filename))
    if strict and not report.exact:
        raise RuntimeError(f'strict loading failed: {text}')
    if complete and (report.missing or report.mismatched):
        lacking = [*report.mismatched, *report.missing]
        names = f'{", ".join(lacking[:3])}{", ..." if len(lacking) > 3 else ""}'
        raise CheckpointMismatchError(
            f'{filename} is not of this model: {len(report.loaded)} tensors fit, {len(report.missing)} are missing, '
            f'{len(report.mismatched)} have another shape ({names}). '
            + (converter_advice(report.unexpected, os.fspath(filename)) or complete)
        )
    if not report.loaded and (report.missing or report.mismatched):
        raise RuntimeError(f'no tensor of {filename} fits the model, which would stay untrained: {text}')
    (logger or get_root_logger()).log(logging.INFO if report.exact else logging.WARNING, text)
    return content


def load_with_report(
    model: nn.Module,
    filename: str | os.PathLike[str],
    map_location: MapLocation = 'cpu',
    logger: logging.Logger | None = None,
    trusted: bool = False,
    revise_keys: Sequence[tuple[str, str]] = DATA_PARALLEL_PREFIX,
) -> tuple[dict[str, Any], LoadReport]:
    """Load what fits; gives the content of the file and how it fitted. Arguments as of :func:`load_checkpoint`."""
    checkpoint = read_checkpoint(filename, map_location, logger, trusted)
    state_dict = checkpoint.get('state_dict', checkpoint)
    state_dict = _renamed(state_dict, revise_keys)
    report = load_state_dict(model, state_dict)
    check_numbers(state_dict, report.loaded, os.fspath(filename))
    # averages that a hook keeps in the model begin as the weights where a file has none
    return checkpoint, report._replace(missing=[name for name in report.missing if not name.startswith('ema_')])


def check_classes(saved: Any, wanted: Any, filename: str | os.PathLike[str], advice: str) -> None:
    """Refuse a checkpoint whose classes are others, or in another order, than those of the data.

    Args:
        saved: ``CLASSES`` of the checkpoint's ``meta``; None where it has none.
        wanted: names of the data's classes, or None.
        filename: of the checkpoint.
        advice: what to do, the end of the error.

    Raises:
        CheckpointMismatchError: they differ.
    """
    if not saved or not wanted or tuple(saved) == tuple(wanted):
        return
    first = next((i for i, (a, b) in enumerate(zip(saved, wanted)) if a != b), min(len(saved), len(wanted)))
    names = [repr(side[first]) if first < len(side) else 'none' for side in (saved, wanted)]
    raise CheckpointMismatchError(
        f'{filename} was trained on other classes: it has {len(saved)}, the data {len(wanted)}; class {first} is '
        f'{names[0]} in the file and {names[1]} in the data. {advice}'
    )


def _renamed(state_dict: dict[str, Tensor], revise_keys: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    renamed = OrderedDict()
    for name, tensor in state_dict.items():
        if not isinstance(name, str):  # of a file that is no state dict
            continue
        for pattern, replacement in revise_keys:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    renamed._metadata = getattr(state_dict, '_metadata', OrderedDict())  # type: ignore[attr-defined]
    return renamed


def save_checkpoint(
    model: nn.Module,
    filename: str | os.PathLike[str],
    optimizer: Optimizer | dict[str, Optimizer] | None = None,
    meta: dict[str, Any] | None = None,
    file_client_args: dict[str, Any] | None = None,
    runner_state: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint: never half a file, and nothing in it but tensors and plain Python values.

    Args:
        model: wrapped or not; its ``CLASSES`` go into the meta information.
        filename: local path or another address that mmcv's file client knows.
        optimizer: one or several whose states are saved too.
        meta: information about the run; not changed.
        file_client_args: see :class:`mmcv.fileio.FileClient`.
        runner_state: what a runner needs to go on exactly where it was.

    Raises:
        NonFiniteError: a weight, a buffer or a number of the optimizer is infinite or NaN; nothing is written.
    """
    model = unwrap_model(model)
    meta = dict(meta or {}, mmcv_version=mmcv.__version__, time=time.asctime())
    if getattr(model, 'CLASSES', None) is not None:
        meta['CLASSES'] = model.CLASSES
    checkpoint = {'meta': meta, 'state_dict': model.state_dict()}
    if isinstance(optimizer, Optimizer):
        checkpoint['optimizer'] = optimizer.state_dict()
    elif optimizer is not None:
        checkpoint['optimizer'] = {name: part.state_dict() for name, part in optimizer.items()}
    if runner_state is not None:
        checkpoint['runner_state'] = runner_state
    checkpoint = plain(checkpoint)
    check_finite({key: checkpoint.get(key) for key in ('state_dict', 'optimizer')}, os.fspath(filename))
    write_file(checkpoint, filename, file_client_args)
