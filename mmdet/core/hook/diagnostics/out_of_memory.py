"""What to change when the device has no memory left for a step."""

import contextlib
from collections.abc import Iterator

import torch
from mmcv.runner import BaseRunner

from mmdet.core.hook.diagnostics.batch_report import describe_sizes
from mmdet.utils.errors import DeviceMemoryError

CURE = (
    'Take fewer images a step (data.samples_per_gpu; optimizer_config=dict(type="GradientCumulativeOptimizerHook", '
    'cumulative_iters=2) keeps the batch), smaller ones (img_scale of Resize), mixed precision (fp16=dict()), or '
    'backbone.with_cp=True; many boxes: gpu_assign_thr of the assigners.'
)


@contextlib.contextmanager
def explained_memory(runner: BaseRunner) -> Iterator[None]:
    """Let an error of the device's memory say what the batch was, and what to change.

    Raises:
        DeviceMemoryError: in the place of torch's error.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        sizes = describe_sizes(getattr(runner, 'data_batch', None))
        reason = str(error).strip().splitlines()[0]
        raise DeviceMemoryError(f'out of memory in iteration {runner.iter + 1}: {sizes}. {CURE} ({reason})') from error
