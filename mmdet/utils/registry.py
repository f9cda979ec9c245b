"""Registries whose errors say what is known, what is near, and where the class was looked for."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import mmcv.utils
from mmcv.utils import Registry as _MMCVRegistry


def nearest(name: str, known, limit: int = 3) -> list[str]:
    """Up to ``limit`` names of ``known`` that look like ``name``, best first, letter case ignored."""
    by_lower = {str(k).lower(): str(k) for k in known}
    return [by_lower[m] for m in difflib.get_close_matches(name.lower(), by_lower, n=limit, cutoff=0.6)]


def did_you_mean(name: str, known, limit: int = 3) -> str:
    """``"; did you mean 'A' or 'B'?"``, or a full stop where nothing is near: it ends a sentence."""
    names = nearest(name, known, limit)
    return f'; did you mean {" or ".join(map(repr, names))}?' if names else '.'


def accepted_arguments(obj: Any) -> list[str] | None:
    """Keyword names that calling ``obj`` accepts; None where any name is (``**kwargs``)."""
    params = inspect.signature(obj).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in params):
        return None
    return [p.name for p in params if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


class Derivation(NamedTuple):
    """How a registry makes ``NAME + suffix`` of a class that is registered as ``NAME``."""

    derive: Callable[[type], type]
    why_not: Callable[[type], str | None]  # what a class lacks to be derived from; None: it can be


class Registry(_MMCVRegistry):
    """mmcv's registry, with errors that help, and with classes that are made when they are asked for.

    Raises:
        KeyError: ``type`` is missing, or unknown; another registry's class needs its scope: ``scope.NAME``.
        TypeError: the config holds an argument that the class does not take, or a name asks for a derived class of one
            that cannot be derived from.
    """

    # replaced, never written to: a constructor of its own would hide the caller from mmcv, which infers the scope
    _derivations: Mapping[str, Derivation] = MappingProxyType({})
    _derived: Mapping[tuple[str, type], type] = MappingProxyType({})

    def add_derivation(
        self, suffix: str, derive: Callable[[type], type], why_not: Callable[[type], str | None]
    ) -> None:
        """Let ``NAME + suffix`` mean ``derive(class registered as NAME)``, made once.

        Args:
            suffix: end of the names.
            derive: makes the class.
            why_not: says what a class lacks to be derived from; None where it can be.
        """
        self._derivations = {**self._derivations, suffix: Derivation(derive, why_not)}

    def get(self, key: str) -> type | None:
        """The class of that name; None where there is no such and none can be derived.

        Raises:
            TypeError: the name asks for a derived class of one that cannot be derived from.
        """
        found = super().get(key)
        scope, name = self.split_scope_key(key)
        return found if found is not None or scope not in (None, self._scope) else self._derive(name)

    def _derive(self, name: str) -> type | None:
        for suffix, rule in self._derivations.items():
            base = self._module_dict.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
            if base is None:
                continue
            reason = rule.why_not(base)
            if reason:
                raise TypeError(f'there is no {name!r}: {base.__name__} (in {base.__module__}) {reason}')
            if (suffix, base) not in self._derived:
                self._derived = {**self._derived, (suffix, base): rule.derive(base)}
            return self._derived[suffix, base]
        return None

    def why_not_derived(self, name: str, suffix: str) -> str | None:
        """What the registered class ``name`` lacks to get that suffix; None: nothing.

        Raises:
            KeyError: there is no such class, or no such suffix.
        """
        base = self.get(name)
        if base is None or suffix not in self._derivations:
            raise KeyError(f'the {self.name} registry has no {name!r} or derives no names that end in {suffix!r}')
        return self._derivations[suffix].why_not(base)

    def known_names(self) -> list[str]:
        """All names that :meth:`get` finds, those of derived classes among them, sorted."""
        derived = {
            name + suffix
            for suffix, rule in self._derivations.items()
            for name, base in self._module_dict.items()
            if not rule.why_not(base)
        }
        return sorted(derived.union(self._module_dict))

    def build(self, cfg: dict, *args, **kwargs) -> Any:
        """Build one object from ``dict(type=NAME, **arguments)``."""
        self._check_known(cfg)
        return super().build(cfg, *args, **kwargs)

    def _check_known(self, cfg: dict) -> None:
        if not isinstance(cfg, dict) or not isinstance(cfg.get('type'), str):
            return  # mmcv reports other mistakes well enough
        name = cfg['type']
        cls = self.get(name)
        if cls is None:
            raise KeyError(
                f'{name!r} is not in the {self.name} registry{did_you_mean(name, self.known_names())} '
                f'{len(self.module_dict)} names are registered; a class of your own must be '
                "imported first: custom_imports=dict(imports=['your.module'])"
            )
        accepted = accepted_arguments(cls)
        unknown = sorted(set(cfg) - {'type'} - set(accepted)) if accepted is not None else []
        if unknown:
            raise TypeError(
                f'{name} (in {cls.__module__}) does not take {unknown[0]!r}'
                f'{did_you_mean(unknown[0], accepted)} It accepts: {", ".join(accepted)}'
            )


def build_from_cfg(cfg: dict, registry: _MMCVRegistry, default_args: dict | None = None) -> Any:
    """mmcv's function of that name over any registry, with the errors of :class:`Registry`."""
    if isinstance(registry, Registry):
        registry._check_known(cfg)
    return mmcv.utils.build_from_cfg(cfg, registry, default_args)


__all__ = ['Registry', 'build_from_cfg', 'nearest', 'did_you_mean', 'accepted_arguments']
