"""Renaming the entries of a state dict by rules, and reordering what they say of the classes."""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

Change = Callable[[Tensor], Tensor]


class ConversionError(ValueError):
    """A state dict is not of the kind that a conversion knows."""


class Rule(NamedTuple):
    """How entries of one kind are renamed."""

    pattern: str  # regular expression of the whole name
    target: str | None  # new name, with \\1 for groups; None: the entry is left out
    change: str | None = None  # name of what is done to the value


def convert(
    state_dict: dict[str, Tensor], rules: Sequence[Rule], changes: dict[str, Change], source: str
) -> OrderedDict[str, Any]:
    """A state dict renamed by the first rule that fits each entry.

    Args:
        state_dict: of the other library's model.
        rules: see :class:`Rule`.
        changes: name -> function of a value.
        source: the other library, for messages.

    Raises:
        ConversionError: there are entries that no rule knows, or two that get one name.
    """
    out, unknown = OrderedDict(), []
    for name, value in state_dict.items():
        found = rename(name, rules)
        if found is None:
            unknown.append(name)
            continue
        target, change = found
        if target is None:
            continue
        if target in out:
            raise ConversionError(f'two entries become {target!r}, one of them {name!r}')
        out[target] = changes[change](value) if change else value
    if unknown:
        raise ConversionError(
            f'{len(unknown)} entries are not known of {source} detectors: {", ".join(unknown[:5])}; '
            'supported are the models listed in docs/equivalence.md'
        )
    return out


def rename(name: str, rules: Sequence[Rule]) -> tuple[str | None, str | None] | None:
    """New name and change of an entry; None where no rule fits."""
    for rule in rules:
        match = re.fullmatch(rule.pattern, name)
        if match:
            return (None if rule.target is None else match.expand(rule.target)), rule.change
    return None
