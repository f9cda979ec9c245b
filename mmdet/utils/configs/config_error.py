"""Errors in configs, and where in the config they are.

Objects are built from nested configs, each by the constructor of the one around it, so what is wrong deep inside is
found without knowledge of the keys that lead there. :func:`building` gives an error that passes through it the keys
from its own config to the wrong one; :func:`config_key` puts the name of the whole in front: ``model``,
``data.train``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Keys = tuple[str | int, ...]

_PLACE = '_place_in_config'


class ConfigError(Exception):
    """A config asks for what there is not; the text begins with the keys that lead to it, as far as they are known."""

    def __str__(self) -> str:
        place = getattr(self, _PLACE, None)
        message = ' '.join(map(str, self.args))
        return f'{place.path}: {message}' if place and place.path else message


class ConfigKeyError(ConfigError, KeyError):
    """A ``type`` is missing or not registered."""


class ConfigTypeError(ConfigError, TypeError):
    """An argument is unknown or missing, or a config is no dict."""


class ConfigImportError(ConfigError, ImportError):
    """A module of ``custom_imports`` cannot be found."""


class Place:
    """Where in a config an error arose.

    Args:
        leaf: the config whose object could not be built.
    """

    def __init__(self, leaf: Any) -> None:
        self.leaf = self.reached = leaf
        self.keys: Keys = ()
        self.root = ''
        self.original_args: tuple[Any, ...] | None = None

    @property
    def path(self) -> str:
        """Such as ``'model.roi_head.bbox_head'`` or ``'data.train.pipeline[2]'``; empty where nothing is known."""
        return (self.root + path_text(self.keys)).lstrip('.')

    def seen_from(self, cfg: Any) -> None:
        """Go one level up: ``cfg`` is the config around what was reached so far."""
        self.keys = self._keys_in(cfg)
        self.reached, self.root = cfg, ''

    def _keys_in(self, cfg: Any) -> Keys:
        exact = find(cfg, self.leaf, lambda a, b: a is b)
        if exact is not None:
            return exact
        # constructors may hand copies on, with additions such as `train_cfg`
        around = find(cfg, self.reached, _is_copy)
        if around is not None and _leads_somewhere(cfg, around + self.keys):
            return around + self.keys
        return find(cfg, self.leaf, _equal) or around or ()


def path_text(keys: Keys) -> str:
    """``('a', 2, 'b')`` -> ``'.a[2].b'``."""
    return ''.join(f'[{key}]' if isinstance(key, int) else f'.{key}' for key in keys)


def nodes(cfg: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every dict of a config and the keys that lead to it, itself first."""
    if isinstance(cfg, dict):
        yield keys, cfg
    items = cfg.items() if isinstance(cfg, dict) else enumerate(cfg) if isinstance(cfg, list | tuple) else ()
    for key, value in items:
        yield from nodes(value, (*keys, key))


def find(cfg: Any, wanted: Any, same: Any) -> Keys | None:
    """Keys to the first dict of ``cfg`` for which ``same(dict, wanted)`` holds; None where there is none."""
    if not isinstance(wanted, dict):
        return None
    return next((keys for keys, node in nodes(cfg) if same(node, wanted)), None)


def _equal(first: Any, second: Any) -> bool:
    if first is second:
        return True
    try:
        return bool(first == second)
    except (ValueError, RuntimeError):  # arrays and tensors do not say whether they are equal
        return False


def _is_copy(node: dict[str, Any], copy: dict[str, Any]) -> bool:
    """Whether ``copy`` may have been made of ``node`` by adding keys."""
    if node is copy:
        return True
    return 'type' in node and all(key in copy and _equal(value, copy[key]) for key, value in node.items())


def _leads_somewhere(cfg: Any, keys: Keys) -> bool:
    for key in keys:
        try:
            cfg = cfg[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


@contextmanager
def building(cfg: Any) -> Iterator[None]:
    """Errors from within learn where in ``cfg`` they arose."""
    try:
        yield
    except Exception as error:
        place = getattr(error, _PLACE, None)
        if place is None:
            setattr(error, _PLACE, Place(cfg))
        else:
            place.seen_from(cfg)
        _show_place(error)
        raise


@contextmanager
def config_key(name: str) -> Iterator[None]:
    """Errors from within learn that the config which is built stands under ``name``."""
    try:
        yield
    except Exception as error:
        place = getattr(error, _PLACE, None)
        if place is None:
            place = Place(None)
            setattr(error, _PLACE, place)
        place.root = f'{name}.{place.root}' if place.root else name
        _show_place(error)
        raise


def is_placed(error: Exception) -> bool:
    """Whether an error knows already where in a config it arose."""
    return hasattr(error, _PLACE)


def _show_place(error: Exception) -> None:
    """Add the place to the text of an error that is no ConfigError (those show it themselves)."""
    place: Place = getattr(error, _PLACE)
    if isinstance(error, ConfigError):
        return
    if place.original_args is None:
        place.original_args = error.args
    args = place.original_args or (('',) if isinstance(error, AssertionError) else ())  # a bare assertion has no text
    if not (args and isinstance(args[0], str)):
        return  # errors of files and the like, whose arguments are numbers
    kind = place.leaf.get('type') if isinstance(place.leaf, dict) else None
    kind = getattr(kind, '__name__', kind)
    inside = f'{place.path} ({kind})' if place.path and kind else place.path or kind
    if inside:
        error.args = (f'{args[0]} [in {inside}]', *args[1:])
