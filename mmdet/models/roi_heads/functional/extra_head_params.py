"""Settings of the extra box head: their defaults, and how a config overrides them."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from mmdet.models.roi_heads.functional.grad_reversal import LambdaSchedule
from mmdet.utils.registry import did_you_mean

DEFAULTS = dict(
    _extra_label=None,  # name of the image's own label in img_metas; None: img_metas['extra_label_name']
    with_grad_reversal=True,
    image_instance_weight=(0.1, 1),  # label weight of negatives, of positives
    lambda_params=dict(
        start_end_max_epoch=(0, 100, 100),
        iters_per_epoch=200,
        power_factor=3.0,
        default_lambda=None,  # a fixed lambda in place of the schedule
        init_epoch=0,
        _curr_epoch=0,  # accepted for old configs; the epoch follows from the iteration
        _curr_iter=0,
    ),
)


def merge_params(defaults: Mapping[str, Any], given: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """``defaults``, overridden key by key, recursively; neither of the two is changed.

    Args:
        defaults: a default of None accepts any value, one that is a whole number any number.
        given: what the config says; a value of None keeps the default.
        where: name of the setting, for messages.

    Raises:
        NameError: unknown key.
        TypeError: value of another type.
        ValueError: sequence of another length.
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise TypeError(f'{where}: expected a dict, got {given!r}')
    for key in given:
        if key not in defaults:
            raise NameError(f'{where} has no {key!r}{did_you_mean(key, defaults)} It has: {", ".join(defaults)}')
    return {key: _merge_value(default, given.get(key), f'{where}.{key}') for key, default in defaults.items()}


def _merge_value(default: Any, value: Any, where: str) -> Any:
    """One value, checked against its default."""
    if isinstance(default, Mapping):
        return merge_params(default, value, where)
    if value is None or default is None:
        return default if value is None else value
    if isinstance(default, tuple):
        return _checked_numbers(value, len(default), where)
    if not _fits(default, value):
        hint = f'; write {float(value)}' if isinstance(value, int) and not isinstance(value, bool) else ''
        raise TypeError(f'{where}: expected a {type(default).__name__} like {default!r}, got {value!r}{hint}')
    return value


def _fits(default: Any, value: Any) -> bool:
    """Whether ``value`` may replace ``default``: a whole number by any number, a float by a float, a bool by a bool."""
    if isinstance(default, int) and not isinstance(default, bool):
        return isinstance(value, Real) and not isinstance(value, bool)
    # a whole number in place of a float is refused: these settings always did, and users check for it
    return isinstance(value, type(default))


def _checked_numbers(value: Any, length: int, where: str) -> tuple[float, ...]:
    if not isinstance(value, Sequence) or not all(isinstance(v, Real) for v in value):
        raise TypeError(f'{where}: expected {length} numbers, got {value!r}')
    if len(value) != length:
        raise ValueError(f'{where}: expected {length} numbers, got {len(value)}: {value!r}')
    return tuple(value)


def lambda_schedule(params: Mapping[str, Any]) -> LambdaSchedule:
    """The schedule that ``lambda_params`` describe.

    Raises:
        ValueError: ``max`` is not after ``start``.
    """
    start, end, max_epoch = params['start_end_max_epoch']
    if max_epoch <= start:
        raise ValueError(f'start_end_max_epoch: max must be after start, got {params["start_end_max_epoch"]!r}')
    return LambdaSchedule(
        start, end, max_epoch, params['power_factor'], params['iters_per_epoch'], params['init_epoch']
    )
