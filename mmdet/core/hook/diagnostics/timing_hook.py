"""The fraction of time that waiting for data takes in an iteration's time, and the process's memory, for the logs."""

import sys

import torch
from mmcv.runner import HOOKS, BaseRunner, Hook

try:
    import resource
except ImportError:  # Windows
    resource = None

# unit of ru_maxrss: kilobytes, on macOS bytes
RSS_PER_MEGABYTE = 1024 * 1024 if sys.platform == 'darwin' else 1024


@HOOKS.register_module()
class DataTimeHook(Hook):
    """Adds ``data_time_fraction`` (``data_time / time``, in [0, 1]) to the log, and ``host_memory`` (MB) without a GPU.

    A fraction near 1 means that the training waits for the loader: more ``workers_per_gpu`` help. mmcv's text logger
    has the GPU's memory.
    """

    def after_iter(self, runner: BaseRunner) -> None:
        """Work out the fraction; runs behind ``IterTimerHook`` and before the loggers."""
        history = runner.log_buffer.val_history
        if not history.get('time'):
            return
        values = {'data_time_fraction': history['data_time'][-1] / max(history['time'][-1], 1e-9)}
        if resource is not None and not torch.cuda.is_available():
            values['host_memory'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / RSS_PER_MEGABYTE
        runner.log_buffer.update(values)
