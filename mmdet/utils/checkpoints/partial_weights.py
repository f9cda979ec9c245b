"""Weights of some parts of a model, named by the prefix of their parameters: selecting, loading, keeping them still."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from mmdet.utils.checkpoints.checkpoint import LoadReport, load_state_dict, unwrap_model
from mmdet.utils.registry import did_you_mean


def in_part(name: str, parts: Iterable[str]) -> bool:
    """Whether a parameter's name lies in one of the parts: ``backbone`` covers ``backbone.conv1.weight``."""
    return any(part == '' or name == part or name.startswith(f'{part}.') for part in parts)


def parts_of(state_dict: dict[str, Tensor], parts: Sequence[str]) -> OrderedDict[str, Any]:
    """The entries of a state dict that lie in the given parts.

    Raises:
        KeyError: a part has no entry.
    """
    for part in parts:
        if not any(in_part(name, [part]) for name in state_dict):
            known = {name.split('.')[0] for name in state_dict}
            raise KeyError(f'no weights of {part!r}{did_you_mean(part, known)} There are: {", ".join(sorted(known))}')
    return OrderedDict((name, tensor) for name, tensor in state_dict.items() if in_part(name, parts))


def load_parts(model: nn.Module, state_dict: dict[str, Tensor], parts: Sequence[str]) -> LoadReport:
    """Load only some parts of a state dict into a model.

    Args:
        model: wrapped or not.
        state_dict: of this model or of a relative of it.
        parts: prefixes such as ``'backbone'`` or ``'roi_head.bbox_head'``; ``''`` means everything.

    Returns:
        What was loaded, and what of these parts is missing, unexpected or of another shape.

    Raises:
        KeyError: a part is not in the state dict.
        RuntimeError: nothing of these parts fits the model.
    """
    report = load_state_dict(model, parts_of(state_dict, parts))
    report = report._replace(missing=[name for name in report.missing if in_part(name, parts)])
    if not report.loaded:
        raise RuntimeError(f'nothing of {", ".join(parts)} fits the model: {report.text()}')
    return report


def modules_of(model: nn.Module, parts: Sequence[str]) -> list[nn.Module]:
    """The modules with these names, such as ``'backbone'`` or ``'roi_head.bbox_head'``.

    Raises:
        KeyError: the model has no such module.
    """
    known = dict(unwrap_model(model).named_modules())
    for part in parts:
        if part not in known:
            near = [name for name in known if name.count('.') <= part.count('.')]
            raise KeyError(f'the model has no part {part!r}{did_you_mean(part, near)}')
    return [known[part] for part in parts]
