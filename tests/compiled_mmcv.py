"""Makes the installed mmcv look compiled: ``import tests.compiled_mmcv`` before anything of mmcv.

The Python side of mmcv-full is the same; its ``mmcv._ext`` is answered by a module in which every operator exists, and
raises when it is called.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec


class FakeExtension(MetaPathFinder, Loader):
    """Finds ``mmcv._ext``."""

    def find_spec(self, fullname, path, target=None):
        return ModuleSpec(fullname, self) if fullname == 'mmcv._ext' else None

    def exec_module(self, module):
        def operator(name):
            if name.startswith('__'):
                raise AttributeError(name)

            def call(*args, **kwargs):
                raise RuntimeError(f'mmcv._ext.{name} was called')

            return call

        module.__getattr__ = operator


sys.meta_path.insert(0, FakeExtension())
