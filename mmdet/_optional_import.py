"""Modules of ours under the name of a package that is not installed, or not compiled.

Configs of the 2.x line say ``custom_imports=dict(imports=['mmcls.models'], allow_failed_imports=False)``, and mmcv
imports that while it reads the file. mmcls, whose line has ended, is needed for two backbones only, which this package
has itself. So its name is answered here, last of all ways to find a module: an installed mmcls always comes first.

``mmcv.ops`` is the other one: without compiled operators it cannot be imported, and users' code begins with ``from
mmcv.ops import nms``. It shows the operators of :mod:`mmdet.ops.mmcv_ops`; a compiled one answers itself.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mmdet._environment import is_compiled

# package to stand in for -> its modules and what holds their names here; imported only when one is asked for
STAND_INS = {'mmcls': {'mmcls.models': 'mmdet.models.utils.mmcls_scope'}}


class StandInFinder(MetaPathFinder, Loader):
    """Finds one package and its modules.

    Args:
        package: name of the package.
        modules: full names of its modules, and the module of ours whose ``__all__`` each of them shows.
    """

    def __init__(self, package: str, modules: dict[str, str]) -> None:
        self.package = package
        self.modules = modules

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """The spec of a module that is stood in for; None for any other.

        Its ``loader_state`` is ``'mmdet'``; it has no ``origin``, for there is no file to look into.
        """
        if fullname != self.package and fullname not in self.modules:
            return None
        return ModuleSpec(fullname, self, loader_state='mmdet', is_package=fullname == self.package)

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module with the names of ours."""
        names: list[str] = []
        if module.__name__ in self.modules:
            source = importlib.import_module(self.modules[module.__name__])
            names = list(source.__all__)
            vars(module).update({name: getattr(source, name) for name in names})

        def refuse(name: str) -> Any:
            raise AttributeError(
                f'{self.package} is not installed; mmdet stands in for {module.__name__} with '
                f'{", ".join(names) or "nothing"} only, not {name!r} (pip install {self.package})'
            )

        module.__doc__ = f'{self.package} is not installed: what mmdet has of {module.__name__}.'
        module.__getattr__ = refuse


class OperatorsFinder(StandInFinder):
    """Finds ``mmcv.ops`` and its modules, which are there as files but cannot be imported."""

    def __init__(self) -> None:
        super().__init__('mmcv.ops', {})

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """The spec of ``mmcv.ops`` or of a module in it; None for any other."""
        if fullname.startswith(f'{self.package}.'):
            return ModuleSpec(fullname, self, loader_state='mmdet')
        return super().find_spec(fullname, path, target)

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module with operators."""
        importlib.import_module('mmdet.ops.mmcv_ops').fill(module)


def install() -> None:
    """Add the finders to the ways in which Python finds modules; a second call changes nothing.

    Where mmcv is compiled, its operators and ours are loaded here, so that the same ones are registered whatever is
    imported first.
    """
    present = {finder.package for finder in sys.meta_path if isinstance(finder, StandInFinder)}
    sys.meta_path.extend(StandInFinder(*item) for item in STAND_INS.items() if item[0] not in present)
    if is_compiled():
        importlib.import_module('mmdet.ops')
    elif 'mmcv.ops' not in present:
        sys.meta_path.insert(0, OperatorsFinder())
