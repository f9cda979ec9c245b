"""Waiting for GPU work inside an event loop (asynchronous inference)."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import torch

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def completed(
    trace_name: str = '',
    name: str = '',
    sleep_interval: float = 0.05,
    streams: 'list[torch.cuda.Stream | None] | None' = None,
) -> AsyncIterator[None]:
    """Leave the block when the GPU has done what the block asked of it; meanwhile the loop serves others.

    Args:
        trace_name: first word of the debug line.
        name: second word of the debug line.
        sleep_interval: seconds between two looks.
        streams: streams that the block works on; None means the current one. Nothing is waited for without a GPU.
    """
    yield
    if not torch.cuda.is_available():
        return
    events = [(stream or torch.cuda.current_stream()).record_event() for stream in streams or [None]]
    while not all(event.query() for event in events):
        await asyncio.sleep(sleep_interval)
    logger.debug('%s %s completed on %d streams', trace_name, name, len(events))


@contextlib.asynccontextmanager
async def concurrent(
    streamqueue: 'asyncio.Queue[torch.cuda.Stream]', trace_name: str = 'concurrent', name: str = 'stream'
) -> AsyncIterator[None]:
    """Run the block on a stream taken from ``streamqueue``, and give it back afterwards."""
    if not torch.cuda.is_available():
        yield
        return
    stream = await streamqueue.get()
    logger.debug('%s %s takes %s', trace_name, name, stream)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        streamqueue.put_nowait(stream)
