"""From a dict of losses to the total that is differentiated and the numbers that are logged."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add

import torch
import torch.distributed as dist
from torch import Tensor

from mmdet.utils.running.group_failure import is_grouped

# Values that one message between the processes holds. All must send the same length even where their names differ,
# so that the difference is reported instead of hanging.
MESSAGE_SLOTS = 64


def parse_losses(
    losses: Mapping[str, Tensor | Sequence[Tensor]],
    also: tuple[list[str], Tensor] | None = None,
    on_device: bool = False,
) -> tuple[Tensor, dict[str, float | Tensor]]:
    """Total loss and numbers for the log.

    Args:
        losses: name to a tensor (its mean counts) or a list of tensors, or of such lists (the sum of their means).
            Those with ``loss`` in their name add up to the total; the others, such as accuracies, are only logged.
        also: n further names and their values (n,), only logged.
        on_device: leave the numbers where they are, as tensors without dimensions, so that the device is not waited
            for. With several processes they are read all the same: then it is seen whether all have the same names.

    Returns:
        the total, a scalar on the graph; name to number, ``loss`` being the total, as means over all processes. The
        numbers reach the host in one copy.

    Raises:
        TypeError: a value is neither a tensor nor a list of such.
        ValueError: no name has ``loss`` in it, or the processes of a run have different names.
    """
    scalars = {name: _scalar(name, value) for name, value in losses.items()}
    counted = [value for name, value in scalars.items() if 'loss' in name]
    if not counted:
        raise ValueError(f"no loss among the model's outputs: none of {list(scalars)} has 'loss' in its name")
    total = reduce(add, counted)
    scalars['loss'] = total
    values = torch.stack([value.detach() for value in scalars.values()])
    names = list(scalars)
    if also is not None:
        names, values = names + also[0], torch.cat([values, also[1].to(values)])
    if is_grouped():
        return total, _mean_over_processes(names, values)
    numbers: Iterable[float | Tensor] = values if on_device else values.tolist()
    return total, dict(zip(names, numbers))


def _scalar(name: str, value: Tensor | Sequence[Tensor]) -> Tensor:
    if isinstance(value, Tensor):
        return value.float().mean()
    if isinstance(value, (list, tuple)) and value:
        return reduce(add, (_scalar(name, item) for item in value))
    raise TypeError(f'losses[{name!r}]: expected a tensor or a list of tensors (or of such lists), got {value!r}')


def _mean_over_processes(names: list[str], values: Tensor) -> dict[str, float | Tensor]:
    """Means of ``values`` (n,) over the processes, after checking in the same message that all sent these names."""
    order = sorted(range(len(names)), key=names.__getitem__)
    mark = zlib.crc32('\n'.join(sorted(names)).encode()) & 0xFFFF  # 16 bits: sums of its square are exact in float64
    slots = -(-(len(names) + 2) // MESSAGE_SLOTS) * MESSAGE_SLOTS
    message = values.new_zeros(slots, dtype=torch.float64)
    message[:1], message[1:2] = mark, mark * mark  # slices are filled by the device, single values copied from the host
    message[2 : 2 + len(names)] = torch.stack([values[i] for i in order])
    dist.all_reduce(message)
    world_size = dist.get_world_size()
    mark_sum, square_sum, *sums = message.tolist()
    if square_sum * world_size != mark_sum**2:  # the variance of the marks over the processes is not 0
        raise ValueError(_describe_difference(names))
    means = {names[i]: total / world_size for i, total in zip(order, sums)}
    return {name: means[name] for name in names}


def _describe_difference(names: list[str]) -> str:
    by_rank: list = [None] * dist.get_world_size()
    dist.all_gather_object(by_rank, names)
    common = set.intersection(*map(set, by_rank))
    only = {rank: sorted(set(has) - common) for rank, has in enumerate(by_rank) if set(has) - common}
    return (
        f'the processes have different losses: rank {dist.get_rank()} has {names}; not on all ranks: {only}. A head '
        'must return every loss for every batch, as a zero on the graph where there is nothing to learn'
    )
