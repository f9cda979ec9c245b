"""Second and third tries for work that ran out of GPU memory."""

from collections import abc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from mmdet.utils.logger import get_root_logger


def cast_tensor_type(
    inputs: Any, src_type: torch.dtype | None = None, dst_type: torch.dtype | torch.device | str | None = None
) -> Any:
    """Tensors inside ``inputs`` cast or moved to ``dst_type``; other things stay.

    Args:
        inputs: tensor, mapping, iterable or anything else, nested.
        src_type: only tensors of this dtype are cast; None means every one.
        dst_type: dtype or device.

    Raises:
        ValueError: ``dst_type`` is missing.
    """
    if dst_type is None:
        raise ValueError('cast_tensor_type needs dst_type, a dtype or a device')
    if isinstance(inputs, Tensor):
        return inputs.to(dst_type) if src_type is None or inputs.dtype == src_type else inputs
    if isinstance(inputs, abc.Mapping):
        kind: Callable[[dict[Any, Any]], Any] = type(inputs)
        return kind({key: cast_tensor_type(value, src_type, dst_type) for key, value in inputs.items()})
    if isinstance(inputs, (list, tuple)):
        items = [cast_tensor_type(value, src_type, dst_type) for value in inputs]
        return type(inputs)(*items) if hasattr(inputs, '_fields') else type(inputs)(items)
    return inputs


@contextmanager
def _ignore_torch_cuda_oom() -> Iterator[None]:
    """Swallow an out-of-memory error of the GPU, and nothing else."""
    with suppress(torch.cuda.OutOfMemoryError):
        yield


class AvoidOOM:
    """Runs a function again when the GPU ran out of memory: with the cache emptied, in half precision, on the CPU.

    Args:
        to_cpu: give the result on the CPU where the third try was needed (else back on the input's device).
        test: skip the first two tries' success, so that tests reach the later ones.

    Example:
        >>> AvoidCUDAOOM.retry_if_cuda_oom(lambda x: x + 1)(torch.ones(1))
        tensor([2.])
    """

    def __init__(self, to_cpu: bool = True, test: bool = False) -> None:
        self.to_cpu = to_cpu
        self.test = test

    def retry_if_cuda_oom(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """``func`` with the tries above around it."""

        @wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not self.test:
                with _ignore_torch_cuda_oom():
                    return func(*args, **kwargs)
                torch.cuda.empty_cache()
                with _ignore_torch_cuda_oom():
                    return func(*args, **kwargs)
            return self._retry_smaller(func, args, kwargs)

        return wrapped

    def _retry_smaller(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        first = next((value for value in [*args, *kwargs.values()] if isinstance(value, Tensor)), None)
        dtype, device = (first.dtype, first.device) if first is not None else (None, None)
        logger = get_root_logger()
        logger.warning(f'out of GPU memory in {func}: trying again in half precision')
        half_args, half_kwargs = cast_tensor_type((args, kwargs), dst_type=torch.half)
        with _ignore_torch_cuda_oom():
            result = func(*half_args, **half_kwargs)
            return cast_tensor_type(result, torch.half, dtype) if dtype else result
        logger.warning(f'out of GPU memory in {func} again: trying on the CPU')
        cpu_args, cpu_kwargs = cast_tensor_type((args, kwargs), dst_type='cpu')
        result = func(*cpu_args, **cpu_kwargs)
        return result if self.to_cpu or device is None else cast_tensor_type(result, dst_type=device)


AvoidCUDAOOM = AvoidOOM()
