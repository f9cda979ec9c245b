"""Registries whose errors say what is known, what is near, and where the class was looked for."""

import difflib
import inspect
from typing import Any

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


class Registry(_MMCVRegistry):
    """mmcv's registry, with errors that help.

    Raises:
        KeyError: ``type`` is missing, or unknown; another registry's class needs its scope: ``scope.NAME``.
        TypeError: the config holds an argument that the class does not take.
    """

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
            known = sorted(self.module_dict)
            raise KeyError(
                f'{name!r} is not in the {self.name} registry{did_you_mean(name, known)} '
                f'{len(known)} names are registered; a class of your own must be '
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
