"""A short ``repr`` for objects of the package."""

import warnings


class NiceRepr:
    """Gives ``<Class(text)>`` as ``repr`` and ``str``; ``text`` comes from ``__nice__``, else from ``len``."""

    def __nice__(self) -> str:
        if hasattr(self, '__len__'):
            return str(len(self))
        raise NotImplementedError(f'{type(self).__name__} needs a method __nice__ for its repr')

    def __repr__(self) -> str:
        try:
            return f'<{type(self).__name__}({self.__nice__()}) at {hex(id(self))}>'
        except NotImplementedError as error:
            warnings.warn(str(error), category=RuntimeWarning, stacklevel=2)
            return object.__repr__(self)

    def __str__(self) -> str:
        try:
            return f'<{type(self).__name__}({self.__nice__()})>'
        except NotImplementedError as error:
            warnings.warn(str(error), category=RuntimeWarning, stacklevel=2)
            return object.__repr__(self)
