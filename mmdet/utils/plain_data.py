"""Files of plain values and numpy arrays: written in a format of our own, read without running code from them."""

import io
import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mmcv.fileio import FileClient

from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.errors import ReportedError
from mmdet.utils.registry import did_you_mean

PICKLES = ('.pkl', '.pickle')
NPZ = '.npz'
STRUCTURE = 'structure'  # name of the array in a .npz that says how the others belong together
KINDS = ('array', 'tuple', 'dict', 'bytes')  # how a structure marks what JSON does not have


class PlainDataError(ReportedError, ValueError):
    """A file is not of a known format, or holds more than plain values and arrays."""


def _no_bytes() -> bytes:
    """How old protocols write ``b''``; ``bytes`` itself would make as many as a file asks for."""
    return b''


def _latin1(text: str, encoding: str = 'latin1') -> bytes:
    """How old protocols write bytes that are not ASCII; another codec is asked for by no pickle of data."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'bytes written as text of {encoding!r}; pickles write latin1')
    return text.encode(encoding)


class ArrayUnpickler(pickle.Unpickler):
    """Reads arrays and plain values; anything else in the file would run code and is refused."""

    ALLOWED = {
        ('collections', 'OrderedDict'),
        *((f'numpy.{core}.multiarray', name) for core in ('core', '_core') for name in ('_reconstruct', 'scalar')),
        *((f'numpy.{core}.numeric', '_frombuffer') for core in ('core', '_core')),
        ('numpy', 'ndarray'),
        ('numpy', 'dtype'),
    }

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding='latin1')  # files written by Python 2

    def find_class(self, module: str, name: str) -> Any:
        """Only what makes arrays."""
        if name == 'bytes' and module in ('builtins', '__builtin__'):
            return _no_bytes
        if (module, name) == ('_codecs', 'encode'):
            return _latin1
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f'the file wants to run {module}.{name}, which no array needs')
        return super().find_class(module, name)


def load_plain(path: str | os.PathLike[str]) -> Any:
    """What a ``.npz``, ``.json``, ``.yaml``, ``.yml`` or ``.pkl`` file holds.

    Args:
        path: on a disk, or an address that mmcv's file client knows.

    Raises:
        FileNotFoundError: there is no such file.
        PlainDataError: another suffix, a damaged file, or one that would run code.
    """
    path = os.fspath(path)
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise PlainDataError(
            f'{path}: cannot read {suffix!r}{did_you_mean(suffix, READERS)} Known: {", ".join(READERS)}'
        )
    content = FileClient.infer_client(uri=path).get(path)
    try:
        return READERS[suffix](content)
    except pickle.UnpicklingError as error:
        raise PlainDataError(f'{path} is not read: {error}') from error
    except (EOFError, KeyError, IndexError, TypeError, AttributeError, ValueError, OSError, yaml.YAMLError) as error:
        reason = str(error).strip().split('\n')[0] or type(error).__name__
        raise PlainDataError(f'{path} is damaged, or no {suffix} file: {reason}') from error


def dump_plain(value: Any, path: str | os.PathLike[str]) -> None:
    """Write plain values and arrays to a ``.npz``, ``.json`` or ``.pkl`` file; the old file stays until it is whole.

    Raises:
        PlainDataError: another suffix, or something that is neither a plain value nor an array.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise PlainDataError(f'{path}: cannot write {suffix!r}; known: {", ".join(WRITERS)}')
    with atomic_write(path, 'wb') as file:
        WRITERS[suffix](value, file)


def _write_npz(value: Any, file: Any) -> None:
    arrays: dict[str, list[np.ndarray]] = {}
    sizes: dict[str, int] = {}

    def store(array: np.ndarray) -> dict[str, list[Any]]:
        if array.dtype == object:
            raise PlainDataError('an array of objects cannot be written')
        kind, start = array.dtype.str, sizes.get(array.dtype.str, 0)
        arrays.setdefault(kind, []).append(np.ascontiguousarray(array).reshape(-1))
        sizes[kind] = start + array.size
        return {'array': [kind, start, list(array.shape)]}

    structure = json.dumps(_encoded(value, store), separators=(',', ':')).encode()
    # one array for each dtype: results have one for each class of each image, too many for a zip file's records
    joined = {kind: np.concatenate(parts) for kind, parts in arrays.items()}
    np.savez(file, **{STRUCTURE: np.frombuffer(structure, np.uint8)}, **joined)  # type: ignore[arg-type]


def _encoded(value: Any, store: Callable[[np.ndarray], dict[str, Any]]) -> Any:
    if isinstance(value, np.ndarray):
        return store(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return {'bytes': value.decode('latin1')}
    if isinstance(value, tuple):
        return {'tuple': [_encoded(item, store) for item in value]}
    if isinstance(value, list):
        return [_encoded(item, store) for item in value]
    if isinstance(value, dict):
        return {'dict': [[_encoded(key, store), _encoded(item, store)] for key, item in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise PlainDataError(f'{type(value).__name__} is neither a plain value nor an array')


def _read_npz(content: bytes) -> Any:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return _decoded(json.loads(arrays.pop(STRUCTURE).tobytes()), arrays)


def _decoded(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, list):
        return [_decoded(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == 'array':
        name, start, shape = value
        return arrays[name][start : start + int(np.prod(shape))].reshape(shape)
    if kind == 'bytes':
        return value.encode('latin1')
    if kind == 'tuple':
        return tuple(_decoded(item, arrays) for item in value)
    return OrderedDict((_decoded(key, arrays), _decoded(item, arrays)) for key, item in value)


def _read_pickle(content: bytes) -> Any:
    return ArrayUnpickler(io.BytesIO(content)).load()


def _read_json(content: bytes) -> Any:
    return json.loads(content.decode('utf-8-sig'))


READERS = {
    NPZ: _read_npz,
    '.json': _read_json,
    '.yaml': yaml.safe_load,
    '.yml': yaml.safe_load,
    **dict.fromkeys(PICKLES, _read_pickle),
}
WRITERS = {
    NPZ: _write_npz,
    '.json': lambda value, file: file.write(json.dumps(value).encode()),
    **dict.fromkeys(PICKLES, pickle.dump),
}
