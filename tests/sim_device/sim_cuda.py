"""Let the simulated device pass for CUDA, so that branches for GPUs run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import sim_autocast  # noqa: F401 - registers autocast
import sim_tensor
import torch
from sim_syncs import note
from sim_tensor import DEVICE, NAME, Context

ANSWERS = dict(
    is_available=True, device_count=1, current_device=0, is_initialized=True, get_device_name='simulated',
    max_memory_allocated=0, memory_allocated=0, max_memory_reserved=0, get_device_capability=(9, 0),
    is_bf16_supported=True, mem_get_info=(2**34, 2**35), current_stream=Context(), stream=Context(),
    get_device_properties=SimpleNamespace(name='simulated', total_memory=2**35, major=9, minor=0),
)  # fmt: skip
WITHOUT_EFFECT = [
    'set_device', 'empty_cache', 'set_rng_state', 'set_rng_state_all', 'manual_seed', 'manual_seed_all',
    'reset_peak_memory_stats', '_lazy_init',
]  # fmt: skip


def swapped(value: Any) -> Any:
    """``'cuda'`` and ``'cuda:0'`` as the simulated device; other arguments as they are."""
    if isinstance(value, torch.device):
        return DEVICE if value.type == 'cuda' else value
    if isinstance(value, str) and (value == 'cuda' or value.startswith('cuda:')):
        return NAME + value[4:]
    return value


NAMING_DEVICES = (str, torch.device)


class CudaMeansSim(torch.overrides.TorchFunctionMode):
    """Devices among the arguments of torch's functions."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.device:
            return func(*args, **kwargs)
        if func is torch.Tensor.pin_memory:
            return args[0]
        if func is torch.Tensor.cuda:
            return args[0].to(DEVICE, non_blocking=kwargs.get('non_blocking', False))
        if any(type(value) in NAMING_DEVICES for value in args):
            args = tuple(map(swapped, args))
        if 'device' in kwargs:
            kwargs['device'] = DEVICE if type(kwargs['device']) is int else swapped(kwargs['device'])
        return func(*args, **kwargs)


@contextmanager
def passing_for_cuda() -> Iterator[None]:
    """``tensor.device`` says ``cuda:0``, ``torch.cuda.is_available()`` True, ``'cuda'`` means the simulated device."""
    init, load = torch.autocast.__init__, torch.load

    def autocast_init(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        init(self, NAME if device_type == 'cuda' else device_type, *args, **kwargs)

    def load_to(file: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        with mock.patch.object(sim_tensor, 'load_to', [map_location]):
            return load(file, map_location, *args, **kwargs)

    fakes = {name: lambda *args, _answer=answer, **kwargs: _answer for name, answer in ANSWERS.items()}
    fakes |= {name: lambda *args, **kwargs: None for name in WITHOUT_EFFECT}
    fakes |= dict(synchronize=lambda device=None: note('synchronize'), Stream=Context)
    fakes |= dict(get_rng_state=lambda device=0: torch.get_rng_state(), get_rng_state_all=list)
    with ExitStack() as stack:
        for name, fake in fakes.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, fake))
        stack.enter_context(mock.patch.object(torch.autocast, '__init__', autocast_init))
        stack.enter_context(mock.patch.object(torch, 'load', load_to))
        sim_tensor.passes_for_cuda[0] = True
        try:
            with CudaMeansSim():
                yield
        finally:
            sim_tensor.passes_for_cuda[0] = False
