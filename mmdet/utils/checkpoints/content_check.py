"""Whether what a checkpoint holds are weights by their names, and what is known of them, in forms that can be used."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmdet.utils.checkpoints.file_check import DamagedCheckpointError
from mmdet.utils.checkpoints.finite import nonfinite_names

EXTRA_STATE = '_extra_state'  # what modules keep beside tensors, by torch's convention
SHOWN = 3  # names in an error


def usable_content(content: dict[str, Any], name: str) -> dict[str, Any]:
    """The content of a file with ``meta`` as a dict and ``CLASSES`` as names.

    Args:
        content: of a checkpoint, or weights alone.
        name: of the file.

    Raises:
        DamagedCheckpointError: ``state_dict`` holds something else than tensors, ``meta`` or ``CLASSES`` are of another
            kind.
    """
    if 'state_dict' not in content and 'meta' not in content:
        return content
    if 'state_dict' in content:
        _check_weights(content['state_dict'], name)
    meta = {} if content.get('meta') is None else content['meta']
    if not isinstance(meta, Mapping):
        raise DamagedCheckpointError(f"{name}: 'meta' must be a dict, the file holds a {type(meta).__name__}")
    classes = meta.get('CLASSES')
    if isinstance(classes, str):  # ('person') in the place of ('person',)
        meta = {**meta, 'CLASSES': (classes,)}
    elif classes is not None and not (isinstance(classes, list | tuple) and all(isinstance(c, str) for c in classes)):
        raise DamagedCheckpointError(f"{name}: meta['CLASSES'] must be a list of names, the file holds {classes!r:.80}")
    return {**content, 'meta': meta}


def _check_weights(weights: Any, name: str) -> None:
    if not isinstance(weights, Mapping):
        raise DamagedCheckpointError(
            f"{name}: 'state_dict' must be a dict of tensors, it is a {type(weights).__name__}"
        )
    for key, value in weights.items():
        if not isinstance(key, str):
            raise DamagedCheckpointError(f"{name}: 'state_dict' must have names of tensors as keys, it has {key!r:.80}")
        if not isinstance(value, Tensor) and not key.endswith(EXTRA_STATE):
            raise DamagedCheckpointError(
                f"{name}: 'state_dict' must hold tensors, {key!r} is a {type(value).__name__}: {value!r:.80}"
            )


def check_numbers(weights: Mapping[str, Any], names: list[str], file: str) -> None:
    """Refuse weights that are infinite or NaN: nothing can be detected, or learnt, with them.

    Args:
        weights: of a file.
        names: of those that the model takes.
        file: name of the file.

    Raises:
        DamagedCheckpointError: some are.
    """
    if wrong := nonfinite_names({name: weights[name] for name in names if name in weights}):
        listed = ', '.join(wrong[:SHOWN]) + (', ...' if len(wrong) > SHOWN else '')
        raise DamagedCheckpointError(
            f'{file}: {len(wrong)} of {len(names)} tensors are infinite or NaN in places ({listed}): the run that '
            'wrote it had diverged, or the file has changed since; take an earlier checkpoint'
        )


def check_progress(content: Mapping[str, Any], file: str) -> None:
    """Refuse a checkpoint that a run cannot go on from.

    Args:
        content: as :func:`usable_content` gives it.
        file: name of the file.

    Raises:
        DamagedCheckpointError: it has no counters, or those or the state of the optimizer are of another kind.
    """
    meta = content.get('meta', {})
    if 'epoch' not in meta or 'iter' not in meta:
        raise DamagedCheckpointError(f'{file} has weights only, no epoch and iter; use load_from, not resume_from')
    for key in ('epoch', 'iter'):
        if not isinstance(meta[key], int) or isinstance(meta[key], bool) or meta[key] < 0:
            raise DamagedCheckpointError(
                f'{file}: meta[{key!r}] must be a whole number from 0 on, the file holds {meta[key]!r:.80}'
            )
    if not isinstance(meta.get('hook_msgs') or {}, Mapping):
        raise DamagedCheckpointError(f"{file}: meta['hook_msgs'] must be a dict, it is {meta['hook_msgs']!r:.80}")
    for key in ('optimizer', 'runner_state'):
        if not isinstance(content.get(key) or {}, Mapping):
            raise DamagedCheckpointError(f'{file}: {key!r} must be a dict, it is a {type(content[key]).__name__}')
