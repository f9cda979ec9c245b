"""Timing of a block on the CPU and, where there is one, on the GPU."""

import contextlib
import time
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def profile_time(
    trace_name: str,
    name: str,
    enabled: bool = True,
    stream: 'torch.cuda.Stream | None' = None,
    end_stream: 'torch.cuda.Stream | None' = None,
) -> Iterator[None]:
    """Print how long the block took on the CPU, and on the GPU's streams without stopping the block.

    Args:
        trace_name: first word of the line.
        name: second word of the line.
        enabled: False runs the block alone.
        stream: stream whose begin is measured; None means the current one.
        end_stream: stream whose end is measured; None means ``stream``.
    """
    if not enabled:
        yield
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        stream = stream or torch.cuda.current_stream()
        end_stream = end_stream or stream
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        stream.record_event(begin)
    start = time.monotonic()
    try:
        yield
    finally:
        message = f'{trace_name} {name} cpu_time {(time.monotonic() - start) * 1000:.2f} ms'
        if on_gpu and end_stream is not None:
            end_stream.record_event(end)
            end.synchronize()
            message += f' gpu_time {begin.elapsed_time(end):.2f} ms stream {stream}'
        print(message)
