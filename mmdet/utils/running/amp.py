"""Mixed precision: ``torch.autocast`` around a detector's forward pass, its losses in float32."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.utils.logger import get_root_logger
from mmdet.utils.running.parallel import module_device

DTYPES = {'float16': torch.float16, 'bfloat16': torch.bfloat16}
LOW_PRECISION = tuple(DTYPES.values())
# instructions for products of bfloat16: of x86 and of ARM
BF16_FLAGS = re.compile(r'^(?:flags|Features)\s*:.*\b(?:amx_bf16|avx512_bf16|bf16)\b', re.MULTILINE)

# children of heads that must not work in low precision: losses, and the expectation over a box distribution
FLOAT32_NAMES = ('loss', 'integral')


def amp_dtype(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype of ``fp16=dict(dtype=...)`` on a device; a CPU has no fast float16 and gets bfloat16 for it.

    ``'auto'`` is what the device is fast with: bfloat16, else on a GPU float16, elsewhere float32.

    Raises:
        ValueError: neither float16 nor bfloat16 nor auto.
    """
    if name == 'auto':
        return fast_dtype(device)
    dtype = DTYPES.get(str(name).removeprefix('torch.'))
    if dtype is None:
        raise ValueError(f'fp16.dtype: expected one of {[*DTYPES, "auto"]}, got {name!r}')
    if dtype is torch.float16 and device.type == 'cpu':
        get_root_logger().info('fp16: float16 needs a GPU; bfloat16 is used on this CPU')
        return torch.bfloat16
    return dtype


def fast_dtype(device: torch.device, cpuinfo: Path = Path('/proc/cpuinfo')) -> torch.dtype:
    """The dtype that a device has instructions for; ``cpuinfo`` is Linux's file of what its processors know."""
    if device.type == 'cuda':
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    known = cpuinfo.read_text() if device.type == 'cpu' and cpuinfo.is_file() else ''
    return torch.bfloat16 if BF16_FLAGS.search(known) else torch.float32


def to_float32(value: Any) -> Any:
    """Low-precision tensors inside lists, tuples and dicts as float32; everything else as it is."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in LOW_PRECISION else value
    if isinstance(value, dict):
        return {key: to_float32(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, '_fields'):
        return type(value)(to_float32(item) for item in value)
    return value


class _Region:
    """Forward hooks that run a module inside ``torch.autocast``; a stack, as modules may call themselves."""

    def __init__(self, device: str, dtype: torch.dtype, enabled: bool) -> None:
        self.device, self.dtype, self.enabled = device, dtype, enabled
        self.entered: list[torch.autocast] = []

    def enter(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        context = torch.autocast(self.device, dtype=self.dtype, enabled=self.enabled)
        context.__enter__()
        self.entered.append(context)
        return None if self.enabled else (to_float32(args), to_float32(kwargs))

    def leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        self.entered.pop().__exit__(None, None, None)

    def put_on(self, module: nn.Module) -> None:
        module.register_forward_pre_hook(self.enter, with_kwargs=True)
        # an error inside must not leave the rest of the process in autocast
        module.register_forward_hook(self.leave, always_call=True)


def _output_to_float32(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    return to_float32(output)


def enable_autocast(model: nn.Module, dtype: torch.dtype) -> None:
    """Let every call of a detector run in mixed precision, in training and in inference.

    Convolutions and products run in ``dtype``. In float32 stay: what heads put out (so that boxes are decoded and
    losses computed from float32), loss modules, RoI feature extractors, and the parameters themselves. Calling it
    again changes nothing.

    Args:
        model: detector without wrapper.
        dtype: ``torch.float16``, ``torch.bfloat16``, or ``torch.float32``, with which nothing changes.
    """
    if dtype is torch.float32:
        return
    if getattr(model, 'autocast_dtype', None) is not None:
        return
    model.autocast_dtype = dtype  # type: ignore[assignment]
    device = module_device(model).type
    _Region(device, dtype, enabled=True).put_on(model)
    for name, module in model.named_modules():
        if module is model:
            continue
        if name.rpartition('.')[2].startswith(FLOAT32_NAMES) or hasattr(module, 'roi_layers'):
            _Region(device, dtype, enabled=False).put_on(module)
        elif callable(getattr(module, 'loss', None)):
            module.register_forward_hook(_output_to_float32)
