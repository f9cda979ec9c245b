"""What converters of checkpoints have in common: renamed weights, and files of them."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdet.apis.launch import UserError
from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.checkpoints.checkpoint_io import plain, write_file

Rules = Sequence[tuple[str, str]]


def renamed(state_dict: dict[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Weights under new names.

    Args:
        state_dict: old name -> tensor.
        rules: (pattern, replacement); the first pattern that matches a whole name counts, and names that none matches
            are left out.
    """
    out = {}
    for name, tensor in state_dict.items():
        for pattern, replacement in rules:
            if re.fullmatch(pattern, name):
                out[re.sub(pattern, replacement, name)] = tensor
                break
    return out


def left_out(state_dict: dict[str, Tensor], rules: Rules) -> list[str]:
    """Names that no rule matches."""
    return [name for name in state_dict if not any(re.fullmatch(pattern, name) for pattern, _ in rules)]


def add_trust_option(parser: argparse.ArgumentParser) -> None:
    """``--trust-checkpoint``, for old files."""
    parser.add_argument(
        '--trust-checkpoint', action='store_true', help='allow a checkpoint that runs code while it is read'
    )


def read_weights(path: str, keys: Sequence[str] = ('state_dict',), trusted: bool = False) -> dict[str, Tensor]:
    """The weights in a checkpoint, under the first of ``keys`` that it has, else the whole of it.

    Raises:
        UserError: the file holds no tensors.
    """
    checkpoint = read_checkpoint(path, trusted=trusted)
    weights = next((checkpoint[key] for key in keys if key in checkpoint), checkpoint)
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise UserError(
            f'{path}: expected weights, or a dict with {" or ".join(keys)}; it has {sorted(checkpoint)[:8]}'
        )
    return weights


def write_weights(state_dict: dict[str, Tensor], path: str, meta: dict[str, Any] | None = None) -> None:
    """Write weights as a checkpoint.

    Raises:
        UserError: there are none.
    """
    if not state_dict:
        raise UserError('no weight has a name that is known here; is the file of the expected kind?')
    write_file(plain({'state_dict': state_dict, 'meta': meta or {}}), Path(path))
    print(f'{len(state_dict)} tensors written to {path}')
