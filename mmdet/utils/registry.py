"""Registries whose errors say what is known, what is near, where the class was looked for, and where in the config."""

import difflib
import inspect
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from mmcv.cnn.bricks.registry import CONV_LAYERS, NORM_LAYERS, PLUGIN_LAYERS, UPSAMPLE_LAYERS
from mmcv.utils import Registry as _MMCVRegistry

from mmdet.utils.configs.config_error import ConfigKeyError, ConfigTypeError, building, is_placed, nodes
from mmdet.utils.configs.custom_imports import where_it_stands
from mmdet.utils.configs.kinds import LIBRARIES, kind_problem

LAYERS = (CONV_LAYERS, NORM_LAYERS, PLUGIN_LAYERS, UPSAMPLE_LAYERS)  # built by functions of mmcv without a registry

# what is searched for a class that is wanted from another registry
_registries: 'weakref.WeakSet[_MMCVRegistry]' = weakref.WeakSet()

# what python says of a call with wrong arguments, from the constructor or one that it calls
_UNEXPECTED = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'(\w+)\.__init__\(\) missing \d+ required (?:positional|keyword-only) arguments?: (.+)')


def nearest(name: str, known: Iterable[Any], limit: int = 3) -> list[str]:
    """Up to ``limit`` names of ``known`` that look like ``name``, best first, letter case ignored."""
    by_lower = {str(k).lower(): str(k) for k in known}
    return [by_lower[m] for m in difflib.get_close_matches(name.lower(), by_lower, n=limit, cutoff=0.6)]


def did_you_mean(name: str, known: Iterable[Any], limit: int = 3) -> str:
    """``"; did you mean 'A' or 'B'?"``, or a full stop where nothing is near: it ends a sentence."""
    names = nearest(name, known, limit)
    return f'; did you mean {" or ".join(map(repr, names))}?' if names else '.'


def accepted_arguments(obj: Any) -> list[str] | None:
    """Keyword names that calling ``obj`` accepts; None where any name is (``**kwargs``)."""
    params = inspect.signature(obj).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in params):
        return None
    return [p.name for p in params if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def inherited_arguments(cls: type) -> list[str] | None:
    """As :func:`accepted_arguments`, for classes that hand their ``**kwargs`` to the constructor of their parent.

    None where the chain of constructors ends with one that takes any name.
    """
    names, takes_any = _named_arguments(cls)
    return None if takes_any else names


def _named_arguments(cls: type) -> tuple[list[str], bool]:
    """The names that the chain of constructors knows, and whether it ends with one that takes any."""
    names: dict[str, None] = {}
    for parent in getattr(cls, '__mro__', ()):
        if '__init__' not in vars(parent) or parent is object:
            continue
        params = list(inspect.signature(vars(parent)['__init__']).parameters.values())[1:]
        names.update((p.name, None) for p in params if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        if not any(p.kind is p.VAR_KEYWORD for p in params):
            return list(names), False
    return list(names), True


def refuse_unused(owner: Any, arguments: Iterable[str]) -> None:
    """Refuse arguments that a constructor takes by its signature (``**kwargs``) and has no use for.

    Args:
        owner: what is constructed.
        arguments: their names.

    Raises:
        TypeError: there are any; Python's own text, to which :func:`build_from_cfg` adds the nearest names.
    """
    for name in arguments:
        raise TypeError(f'{type(owner).__name__}.__init__() got an unexpected keyword argument {name!r}')


def require(owner: Any, **arguments: Any) -> None:
    """Refuse None for arguments that a constructor needs although its signature has a default for them.

    Args:
        owner: what is constructed.
        arguments: name -> value.

    Raises:
        TypeError: one is None; Python's own text, which :func:`build_from_cfg` completes.
    """
    for name, value in arguments.items():
        if value is None:
            raise TypeError(f'{type(owner).__name__}.__init__() missing 1 required keyword-only argument: {name!r}')


class Derivation(NamedTuple):
    """How a registry makes ``NAME + suffix`` of a class that is registered as ``NAME``."""

    derive: Callable[[type], type]
    unsupported_reason: Callable[[type], str | None]  # what a class lacks to be derived from; None: it can be


class Registry(_MMCVRegistry):
    """mmcv's registry, with errors that help, and with classes that are made when they are asked for.

    Args:
        name: what errors call it.
        build_func: ``(cfg, registry, default_args)``; default: that of a parent of this class, else
            :func:`build_from_cfg`.
        parent: registry that finds the classes of this one by their scope, ``scope.NAME``.
        scope: default: the top-level package of the module that makes the registry.

    Raises:
        KeyError: ``type`` is missing, or unknown; another registry's class needs its scope: ``scope.NAME``.
        TypeError: the config holds an argument that the class does not take, or lacks one, or a name asks for a derived
            class of one that cannot be derived from.
    """

    # how derived classes are made, and those that were; replaced, never written to
    _derivations: Mapping[str, Derivation] = MappingProxyType({})
    _derived: Mapping[tuple[str, type], type] = MappingProxyType({})

    def __init__(
        self,
        name: str,
        build_func: Callable[..., Any] | None = None,
        parent: _MMCVRegistry | None = None,
        scope: str | None = None,
    ) -> None:
        if scope is None:
            scope = sys._getframe(1).f_globals.get('__name__', '').partition('.')[0]
        if build_func is None:
            build_func = parent.build_func if isinstance(parent, Registry) else build_from_cfg
        super().__init__(name, build_func, parent, scope)
        _registries.add(self)

    def add_derivation(
        self, suffix: str, derive: Callable[[type], type], unsupported_reason: Callable[[type], str | None]
    ) -> None:
        """Let ``NAME + suffix`` mean ``derive(class registered as NAME)``, made once.

        Args:
            suffix: end of the names.
            derive: makes the class.
            unsupported_reason: says what a class lacks to be derived from; None where it can be.
        """
        self._derivations = {**self._derivations, suffix: Derivation(derive, unsupported_reason)}

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
            reason = rule.unsupported_reason(base)
            if reason:
                raise TypeError(f'there is no {name!r}: {base.__name__} (in {base.__module__}) {reason}')
            if (suffix, base) not in self._derived:
                self._derived = {**self._derived, (suffix, base): rule.derive(base)}
            return self._derived[suffix, base]
        return None

    def unsupported_reason(self, name: str, suffix: str) -> str | None:
        """What the registered class ``name`` lacks to get that suffix; None: nothing.

        Raises:
            KeyError: there is no such class, or no such suffix.
        """
        base = self.get(name)
        if base is None or suffix not in self._derivations:
            raise KeyError(f'the {self.name} registry has no {name!r} or derives no names that end in {suffix!r}')
        return self._derivations[suffix].unsupported_reason(base)

    def known_names(self) -> list[str]:
        """All names that :meth:`get` finds, those of derived classes among them, sorted."""
        derived = {
            name + suffix
            for suffix, rule in self._derivations.items()
            for name, base in self._module_dict.items()
            if not rule.unsupported_reason(base)
        }
        return sorted(derived.union(self._module_dict))

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build one object from ``dict(type=NAME, **arguments)``."""
        with building(cfg):
            return super().build(cfg, *args, **kwargs)


def build_from_cfg(cfg: dict[str, Any], registry: _MMCVRegistry, default_args: dict[str, Any] | None = None) -> Any:
    """Build one object; mmcv's function of that name, with the errors of :class:`Registry` over any registry.

    Args:
        cfg: ``type``, a registered name or a class or function itself, and arguments; not changed.
        registry: where the name is looked up.
        default_args: arguments (and ``type``) that ``cfg`` does not give.

    Raises:
        ConfigKeyError: ``type`` is missing or unknown; a KeyError.
        ConfigTypeError: an argument is unknown, missing or of another kind than its type hint; a TypeError.
        Exception: what the constructor raises, with the place in the config added to its text.
    """
    with building(cfg):
        cls, arguments = resolve(cfg, registry, default_args)
        try:
            return cls(**arguments)
        except TypeError as error:
            part, problem = arguments, _wrong_call(error, cls, arguments)
            if problem is None:
                part, problem = _wrong_layer(error, arguments)
            if problem is None:
                raise
            with building(part):
                raise ConfigTypeError(problem) from None


def resolve(
    cfg: dict[str, Any], registry: _MMCVRegistry, default_args: dict[str, Any] | None = None
) -> tuple[Any, dict[str, Any]]:
    """What :func:`build_from_cfg` would call, and the arguments, checked as far as that goes without the call.

    Raises:
        ConfigKeyError, ConfigTypeError: see :func:`build_from_cfg`.
    """
    if not isinstance(registry, _MMCVRegistry):
        raise TypeError(f'registry: expected a Registry, got {type(registry).__name__}')
    if not isinstance(cfg, dict):
        raise ConfigTypeError(f'{registry.name} registry: expected dict(type=...), got {type(cfg).__name__}: {cfg!r}')
    arguments = dict(default_args or {})
    arguments.update(cfg)
    kind = arguments.pop('type', None)
    if kind is None:
        given = ', '.join(map(str, cfg)) or 'nothing'
        raise ConfigKeyError(f"a config of the {registry.name} registry needs the key 'type', got {given}.")
    if isinstance(kind, str):
        cls = look_up(kind, registry)
    elif inspect.isclass(kind) or inspect.isfunction(kind):
        cls = kind
    else:
        raise ConfigTypeError(f'type: expected a name or a class, got {type(kind).__name__}: {kind!r}')
    problem = argument_problem(cls, arguments)
    problem = problem or kind_problem(cls, {name: value for name, value in arguments.items() if name in cfg})
    if problem is not None:
        raise ConfigTypeError(problem)
    return cls, arguments


def look_up(name: str, registry: _MMCVRegistry) -> Any:
    """The class or function of that name.

    Raises:
        ConfigKeyError: there is none; the text says where it was looked for.
    """
    scope, dot, _ = name.partition('.')
    # mmcv's look-up itself fails for a scope that nobody knows
    cls = registry.get(name) if not dot or scope in _scopes(registry) else None
    if cls is None:
        raise ConfigKeyError(unknown_name(name, registry))
    return cls


def _scopes(registry: _MMCVRegistry) -> set[str]:
    root = registry
    while root.parent is not None:
        root = root.parent
    return {registry.scope, root.scope, *registry.children, *root.children} - {None}


def unknown_name(name: str, registry: _MMCVRegistry) -> str:
    """What to say of a ``type`` that a registry does not have."""
    known = registry.module_dict
    scope, dot, _ = name.rpartition('.')
    names = registry.known_names() if isinstance(registry, Registry) else known
    parts = [
        f'{name!r} is not in the {registry.name} registry{did_you_mean(name, names)}',
        f'{len(known)} names are registered, from {", ".join(_shelves(known)) or "nowhere"}.',
    ]
    elsewhere = _registries_with(name, registry)
    where = where_it_stands(name, known.values()) if not dot and not elsewhere else None
    if dot:
        parts.append(f"The package of the scope {scope!r} must be imported: custom_imports=dict(imports=['{scope}']).")
    elif elsewhere:
        parts.append(f'The {" and the ".join(elsewhere)} registry has a {name}: is it under the right key?')
    elif where:
        parts.append(where)
    else:
        parts.append(
            "A class of your own must be imported first: custom_imports=dict(imports=['your.module']) in the config."
        )
    return ' '.join(parts)


def _shelves(known: dict[str, Any], limit: int = 8) -> list[str]:
    """The packages that registered classes come from; only the upper ones where those are many."""
    modules = [getattr(entry, '__module__', '').split('.') for entry in known.values()]
    shelves = sorted({'.'.join(parts[:3]) for parts in modules})
    return shelves if len(shelves) <= limit else sorted({'.'.join(parts[:2]) for parts in modules})


def _registries_with(name: str, asked: _MMCVRegistry) -> list[str]:
    from mmcv.runner import HOOKS, OPTIMIZERS, RUNNERS

    others = [*_registries, HOOKS, OPTIMIZERS, RUNNERS]
    return sorted({other.name for other in others if other is not asked and name in other.module_dict})


def is_from_elsewhere(kind: Any) -> bool:
    """Whether ``type`` of a config, a class or its name, is of the user's own code or of another package."""
    found = [kind] if inspect.isclass(kind) else [other.module_dict.get(kind) for other in _registries]
    return any(cls is not None and cls.__module__.partition('.')[0] not in LIBRARIES for cls in found)


def argument_problem(cls: Any, arguments: Iterable[str]) -> str | None:
    """What is wrong with calling ``cls`` with arguments of these names, as far as its signature tells."""
    try:
        params = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):  # classes written in C may have none
        return None
    arguments = list(arguments)
    accepted = accepted_arguments(cls)
    unknown = [name for name in arguments if accepted is not None and name not in accepted]
    if unknown:
        return _unknown_argument(cls, unknown[0], accepted)
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    missing = [p.name for p in params if p.kind in named and p.default is p.empty and p.name not in arguments]
    return _missing_arguments(cls, missing, accepted, arguments) if missing else None


def _wrong_call(error: TypeError, cls: Any, arguments: dict[str, Any]) -> str | None:
    """The same for an error of a constructor that was handed ``**kwargs``; None for errors of another kind."""
    if is_placed(error):
        return None  # that of a part, which has been explained
    ancestors = {parent.__name__ for parent in getattr(cls, '__mro__', ())}
    unexpected, missing = _UNEXPECTED.search(str(error)), _MISSING.search(str(error))
    if unexpected and unexpected[1] in ancestors and unexpected[2] in arguments:
        return _unknown_argument(cls, unexpected[2], _named_arguments(cls)[0])
    if missing and missing[1] in ancestors:
        names = re.findall(r"'(\w+)'", missing[2])
        if names and not set(names) & set(arguments):
            return _missing_arguments(cls, names, inherited_arguments(cls), arguments)
    return None


def _wrong_layer(error: TypeError, arguments: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The same for a layer that a function of mmcv makes of ``norm_cfg``, ``conv_cfg`` and the like; its config."""
    unexpected = None if is_placed(error) else _UNEXPECTED.search(str(error))
    if unexpected is None:
        return arguments, None
    name, argument = unexpected.groups()
    for keys, node in nodes(arguments):
        if not keys or argument not in node or not isinstance(node.get('type'), str):
            continue
        for registry in LAYERS:
            layer = registry.module_dict.get(node['type'])
            if layer is not None and name in {parent.__name__ for parent in getattr(layer, '__mro__', ())}:
                return node, _unknown_argument(layer, argument, _named_arguments(layer)[0])
    return arguments, None


def _unknown_argument(cls: Any, name: str, accepted: list[str] | None) -> str:
    text = f'{cls.__name__} (in {cls.__module__}) does not take {name!r}{did_you_mean(name, accepted or [])}'
    return f'{text} It accepts: {", ".join(accepted)}.' if accepted else text


def _missing_arguments(cls: Any, missing: list[str], accepted: list[str] | None, given: Iterable[str]) -> str:
    text = f'{cls.__name__} (in {cls.__module__}) needs {", ".join(map(repr, missing))}'
    text += f'; given: {", ".join(given) or "nothing"}.'
    return f'{text} It accepts: {", ".join(accepted)}.' if accepted else text
