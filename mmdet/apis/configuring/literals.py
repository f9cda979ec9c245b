"""Python text of config values."""

import keyword
from typing import Any

WIDTH = 110  # characters


class Name(str):
    """A name or expression that stands in a config as it is."""


def literal(value: Any, indent: int = 0, start: int = 0) -> str:
    """The text of a value, on one line where it fits, else with an entry on each line.

    Args:
        value: of dicts, lists, tuples and plain values.
        indent: columns that the line with the value is indented by.
        start: columns that stand before the value on its line.
    """
    if isinstance(value, Name):
        return str(value)
    if not isinstance(value, dict | list | tuple):
        return repr(value)
    flat = _join(value, [literal(item) for item in _items(value)], ', ')
    if len(flat) + max(start, indent) <= WIDTH and '\n' not in flat:
        return flat
    pad = ' ' * (indent + 4)
    names = [f'{key}=' for key in value] if isinstance(value, dict) else [''] * len(value)
    inner = [literal(item, indent + 4, indent + 5 + len(name)) for name, item in zip(names, _items(value))]
    return _join(value, inner, f',\n{pad}', f'\n{pad}')


def _items(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value)


def _join(value: Any, texts: list[str], comma: str, lead: str = '') -> str:
    tail = f',{lead[:-4]}' if lead else ''
    if isinstance(value, dict):
        plain = all(isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value)
        pairs = [f'{key}={text}' if plain else f'{key!r}: {text}' for key, text in zip(value, texts)]
        body = lead + comma.join(pairs) + tail
        return f'dict({body})' if plain else f'{{{body}}}'
    body = lead + comma.join(texts) + tail
    if isinstance(value, tuple):
        return f'({body},)' if len(value) == 1 and not tail else f'({body})'
    return f'[{body}]'
