"""Memory of the machine and of the training process in the log."""

from mmcv.runner import HOOKS, BaseRunner, Hook

MEGABYTE = 1 << 20


@HOOKS.register_module()
class MemoryProfilerHook(Hook):
    """Logs virtual memory, swap and the process's own part.

    Args:
        interval: iterations between two lines.

    Raises:
        ImportError: psutil is not installed.
    """

    def __init__(self, interval: int = 50) -> None:
        try:
            import psutil
        except ImportError as error:
            raise ImportError('MemoryProfilerHook needs psutil; run: pip install psutil') from error
        self.interval = interval
        self._psutil = psutil

    def after_iter(self, runner: BaseRunner) -> None:
        """Write the line."""
        if not self.every_n_iters(runner, self.interval):
            return
        machine, swap = self._psutil.virtual_memory(), self._swap()
        process = self._psutil.Process().memory_info().rss
        runner.logger.info(
            'Memory information: '
            f'available_memory: {machine.available // MEGABYTE} MB, used_memory: {machine.used // MEGABYTE} MB, '
            f'memory_utilization: {machine.percent} %, {swap}'
            f'current_process_memory: {process // MEGABYTE} MB'
        )

    def _swap(self) -> str:
        """The part of the line about swap; a container may have none, and not say so either."""
        try:
            swap = self._psutil.swap_memory()
        except (OSError, RuntimeError):
            return 'no swap memory, '
        return (
            f'available_swap_memory: {swap.free // MEGABYTE} MB, used_swap_memory: {swap.used // MEGABYTE} MB, '
            f'swap_memory_utilization: {swap.percent} %, '
        )
