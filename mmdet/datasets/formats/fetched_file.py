"""Where a file of a data set lies, and how it is fetched from there."""

import os.path as osp
from collections.abc import Callable
from typing import Any

import mmcv


def under(root: str | None, path: str | None) -> str | None:
    """A relative path joined to the root; others, and None, stay."""
    return path if root is None or path is None or osp.isabs(path) else osp.join(root, path)


def load_fetched(client: mmcv.FileClient, path: str, load: Callable[[str], Any], missing: str) -> Any:
    """What ``load`` makes of a file that ``client`` fetches.

    Raises:
        FileNotFoundError: with the text ``missing``: the file is not there. One of another file, which ``load`` opens,
            keeps its own.
    """
    try:
        if not hasattr(client.client, 'get_local_path'):
            return load(path)
        with client.get_local_path(path) as local_path:
            return load(local_path)
    except FileNotFoundError as err:
        if err.filename not in (None, path):
            raise
        raise FileNotFoundError(missing) from err
