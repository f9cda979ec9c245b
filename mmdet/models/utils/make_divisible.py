"""Round numbers of channels."""


def make_divisible(value: float, divisor: int, min_value: int | None = None, min_ratio: float = 0.9) -> int:
    """The multiple of ``divisor`` nearest to ``value``, but not much less than it.

    Args:
        value: wanted number of channels.
        divisor: what the result is divisible by.
        min_value: least result. Default: ``divisor``.
        min_ratio: a result below ``min_ratio * value`` is raised by one ``divisor``. Default: 0.9.
    """
    rounded = max(divisor if min_value is None else min_value, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < min_ratio * value else rounded
