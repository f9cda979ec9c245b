"""Data-parallel wrappers on torch's public interface.

They take batches with mmcv's ``DataContainer`` apart and offer ``train_step`` and ``val_step``, as runners expect.
"""

from collections.abc import Callable
from typing import Any

import torch
from mmcv.parallel import MODULE_WRAPPERS, DataContainer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def unpack(data: Any, device: torch.device | str | None = None) -> Any:
    """One device's part of a collated batch.

    Args:
        data: nested dicts, lists and tuples of tensors and ``DataContainer``; a container's data is a list with one
            entry per device, of which the first is taken, or a tensor.
        device: tensors go there, unless they stand in a container for the CPU; None leaves them where they are.

    Returns:
        The same structure without containers.
    """
    if isinstance(data, DataContainer):
        content = data.data[0] if isinstance(data.data, list) else data.data
        return content if data.cpu_only else _to_device(content, device)
    if isinstance(data, dict):
        return {key: unpack(value, device) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        items = [unpack(value, device) for value in data]
        return type(data)(*items) if hasattr(data, '_fields') else type(data)(items)
    return _to_device(data, device)


def _to_device(data: Any, device: torch.device | str | None) -> Any:
    if isinstance(data, Tensor):
        return data if device is None else data.to(device, non_blocking=True)
    if isinstance(data, (list, tuple)):
        return type(data)(_to_device(item, device) for item in data)
    if isinstance(data, dict):
        return {key: _to_device(item, device) for key, item in data.items()}
    return data


def module_device(module: nn.Module) -> torch.device:
    """Device of the first parameter or buffer; the CPU for a module without any."""
    first: Tensor | None = next(module.parameters(), None)
    first = first if first is not None else next(module.buffers(), None)
    return first.device if first is not None else torch.device('cpu')


@MODULE_WRAPPERS.register_module()
class SingleDeviceParallel(nn.Module):
    """One model on one device, CPU or GPU.

    Args:
        module: the model.
        device_ids: empty or None for the CPU, else the one GPU.
        output_device, dim: accepted for torch's ``DataParallel`` signature; one device needs neither.

    Raises:
        ValueError: more than one device is asked for.
    """

    def __init__(
        self,
        module: nn.Module,
        device_ids: list[int] | None = None,
        output_device: int | torch.device | None = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        if device_ids is not None and len(device_ids) > 1:
            raise ValueError(
                f'one process trains on one GPU, got device_ids={list(device_ids)}; '
                'for several GPUs run tools/dist_train.sh CONFIG NUMBER_OF_GPUS'
            )
        self.module: Any = module
        self.device_ids = list(device_ids or [])
        device = output_device if output_device is not None else module_device(module)
        # mmcv's logger asks CUDA for the memory of this device, which on a machine with a GPU may still be the CPU
        self.output_device = None if str(device) == 'cpu' else device
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The model's ``forward`` on the unpacked inputs."""
        return self._call(self.module, inputs, kwargs)

    def train_step(self, *inputs: Any, **kwargs: Any) -> dict[str, Any]:
        """The model's ``train_step`` on the unpacked inputs."""
        return self._call(self.module.train_step, inputs, kwargs)

    def val_step(self, *inputs: Any, **kwargs: Any) -> dict[str, Any]:
        """The model's ``val_step`` on the unpacked inputs."""
        return self._call(self.module.val_step, inputs, kwargs)

    def _call(self, function: Callable[..., Any], inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        device = module_device(self.module)
        return function(*unpack(inputs, device), **unpack(kwargs, device))


@MODULE_WRAPPERS.register_module()
class StepDistributedDataParallel(DistributedDataParallel):
    """torch's ``DistributedDataParallel`` for batches with ``DataContainer`` and for ``train_step``.

    Gradients are averaged over the processes only for what runs inside torch's ``forward``; so ``train_step`` goes
    through it.
    """

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The model's ``forward``; without gradients it runs alone, so that no process waits for another."""
        return self._dispatch(None, inputs, kwargs)

    def train_step(self, *inputs: Any, **kwargs: Any) -> dict[str, Any]:
        """The model's ``train_step``, its gradients averaged in the backward pass."""
        return self._dispatch('train_step', inputs, kwargs)

    def val_step(self, *inputs: Any, **kwargs: Any) -> dict[str, Any]:
        """The model's ``val_step``."""
        return self._dispatch('val_step', inputs, kwargs)

    def _dispatch(self, method: str | None, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = self.module
        device = module_device(module)
        inputs, kwargs = unpack(inputs, device), unpack(kwargs, device)
        if not torch.is_grad_enabled():
            return (getattr(module, method) if method else module)(*inputs, **kwargs)
        if method:
            _call_once_instead_of_forward(module, method)
        return super().forward(*inputs, **kwargs)


def _call_once_instead_of_forward(module: nn.Module, method: str) -> None:
    """Let the next call of ``module`` run ``method``, whose own calls of ``module`` run ``forward`` again."""

    def run_step(*inputs: Any, **kwargs: Any) -> Any:
        del module.forward
        return getattr(module, method)(*inputs, **kwargs)

    # an instance attribute hides the class's method; `run_step` takes it away before anything else happens
    module.forward = run_step
