"""Which inputs a neck uses: the arguments ``start_level``, ``end_level`` and ``num_outs`` of most of them."""

from collections.abc import Sequence


def used_levels(in_channels: Sequence[int], num_outs: int, start_level: int, end_level: int) -> range:
    """Numbers of the inputs in use.

    Args:
        in_channels: channels of each input.
        num_outs: number of outputs; those beyond the used inputs are made from the last input.
        start_level: first input used.
        end_level: last input used; -1: the last there is.

    Raises:
        TypeError: ``in_channels`` is not a list or tuple.
        ValueError: numbers that do not fit.
    """
    if not isinstance(in_channels, (list, tuple)):
        raise TypeError(f'in_channels: expected a list with one number a level, got {in_channels!r}')
    inputs = len(in_channels)
    end = inputs if end_level == -1 else end_level + 1
    if not 0 <= start_level < end <= inputs:
        raise ValueError(
            f'start_level={start_level} and end_level={end_level} do not fit the {inputs} inputs of in_channels'
        )
    if num_outs < end - start_level:
        raise ValueError(f'num_outs={num_outs} is less than the {end - start_level} inputs used')
    if num_outs > end - start_level and end < inputs:
        raise ValueError(f'num_outs={num_outs} asks for extra levels, but end_level={end_level} is not the last input')
    return range(start_level, end)


def check_inputs(name: str, inputs: Sequence, expected: int) -> None:
    """Refuse another number of inputs than the neck was built for."""
    if len(inputs) != expected:
        raise ValueError(f'{name}: expected {expected} inputs, got {len(inputs)}')
