"""How the operators here get along with those of a compiled mmcv, whatever is imported first.

mmcv registers its layers when ``mmcv.ops`` is imported, and refuses a name that is taken. So it is imported before any
layer of ours is registered, and ours then take the names over. A layer of ours is an instance of mmcv's class of the
same name too, where there is one, so that ``isinstance`` in mmcv and in users' code holds.
"""

import importlib
import warnings
from functools import cache
from types import ModuleType

from mmcv.utils import Registry
from torch import nn

from mmdet._environment import is_compiled


@cache
def compiled_ops() -> ModuleType | None:
    """``mmcv.ops`` of a compiled mmcv; None where mmcv was not compiled, or for another torch than the one here."""
    if not is_compiled():
        return None
    try:
        return importlib.import_module('mmcv.ops')
    except ImportError as error:
        warnings.warn(
            f'the compiled operators of mmcv cannot be loaded ({error}); those of mmdet are used. Build mmcv-full '
            'again with the torch that is installed, or install mmcv in its place',
            stacklevel=2,
        )
        return None


def mmcv_class(name: str, otherwise: type[nn.Module] = nn.Module) -> type[nn.Module]:
    """A class to derive a layer from, so that it is an instance of mmcv's layer of the same name too.

    Args:
        name: a layer of ``mmcv.ops``.
        otherwise: what the layer derives from where mmcv was not compiled; an ancestor of mmcv's layer.

    Returns:
        ``otherwise``, or a subclass of mmcv's layer that behaves as ``otherwise``: constructor and methods are its own.
    """
    ops = compiled_ops()
    if ops is None:
        return otherwise
    theirs = getattr(ops, name)
    overridden = {key for cls in theirs.__mro__ if not issubclass(otherwise, cls) for key in vars(cls)}
    methods = {key: getattr(otherwise, key, None) for key in overridden}
    return type(name, (theirs,), {key: method for key, method in methods.items() if callable(method)})


def register_layer(registry: Registry, name: str, layer: type[nn.Module]) -> None:
    """Register a layer in one of mmcv's registries, in place of the compiled one of that name."""
    compiled_ops()  # whose import registers the same name
    registry.register_module(name, force=True, module=layer)
