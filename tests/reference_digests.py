"""Short digests of resolved configs and of parameter tables, to hold them to the reference without a copy of it.

``tests/data/config_digests.json`` has, for each config file, the digest of what it resolves to (``content``) and of the
names, shapes and types of its model's parameters and buffers (``state``).
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any


def canonical(value: Any) -> Any:
    """``value`` as JSON content in which tuples, lists and ranges differ and the order of dict keys does not count."""
    if isinstance(value, dict):
        return {'dict': sorted([repr(k), canonical(v)] for k, v in value.items())}
    if isinstance(value, (list, tuple, range)):
        return {type(value).__name__: [canonical(v) for v in value]}
    return repr(value)


def digest(value: Any) -> str:
    """Eight hex digits of a plain Python value."""
    return hashlib.sha256(json.dumps(canonical(value)).encode()).hexdigest()[:8]


def state_digest(rows: Iterable[tuple[str, Iterable[int], str]]) -> str:
    """Digest of the (key, shape, dtype) rows of a state dict, in any order."""
    return digest(sorted([key, list(shape), dtype] for key, shape, dtype in rows))
