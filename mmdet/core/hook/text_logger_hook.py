"""The log that people read, and the lines of JSON that programs do."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.runner import HOOKS, BaseRunner
from mmcv.runner.hooks import TextLoggerHook as MmcvTextLoggerHook
from terminaltables import AsciiTable

MARK = '/'  # between a quantity and its source, as in `loss_cls/SOURCE`


@HOOKS.register_module(force=True)
class TextLoggerHook(MmcvTextLoggerHook):
    """mmcv's hook; what is logged by source or by class goes into tables instead of one line.

    The JSON log has all numbers of each interval.

    Args:
        args, kwargs: of mmcv's hook.
        table_interval: training lines from one table of losses by source to the next; it shows their means.

    Raises:
        ValueError: ``table_interval`` is below 1.
    """

    def __init__(self, *args: Any, table_interval: int = 10, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if table_interval < 1:
            raise ValueError(f'table_interval: expected a number of lines from 1 on, got {table_interval!r}')
        self.table_interval = table_interval
        self._rows: list[dict[str, float]] = []

    def _log_info(self, log_dict: dict[str, Any], runner: BaseRunner) -> None:
        parted = {name: value for name, value in log_dict.items() if MARK in name}
        super()._log_info({name: value for name, value in log_dict.items() if name not in parted}, runner)
        if not parted:
            return
        if log_dict['mode'] != 'train':
            # figures of classes are in the tables that evaluations print
            parted = {name: value for name, value in parted.items() if 'loss' in name.partition(MARK)[0]}
            if parted:
                runner.logger.info(f'in parts:\n{parts_table([parted])}')
            return
        self._rows.append(parted)
        if len(self._rows) >= self.table_interval:
            self._log_table(runner)

    def _dump_log(self, log_dict: dict[str, Any], runner: BaseRunner) -> None:
        try:
            super()._dump_log(log_dict, runner)
        except OSError as error:  # errors of writes do not name their file
            raise OSError(error.errno, error.strerror, str(self.json_log_path)) from error

    def _log_table(self, runner: BaseRunner) -> None:
        runner.logger.info(f'by source, means of the last {len(self._rows)} lines:\n{parts_table(self._rows)}')
        self._rows = []

    def after_run(self, runner: BaseRunner) -> None:
        """Show what is left of the losses by source."""
        if self._rows and runner.rank == 0:
            self._log_table(runner)
        super().after_run(runner)


def parts_table(rows: Sequence[Mapping[str, float]]) -> str:
    """A table with a line for each quantity and a column for each part of it.

    Args:
        rows: ``'loss_cls/SOURCE'`` -> value; the table has the means of those that have the name.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    quantities = list(dict.fromkeys(name.partition(MARK)[0] for name in names))
    parts = list(dict.fromkeys(name.partition(MARK)[2] for name in names))
    lines = [['', *parts]]
    for quantity in quantities:
        values = [[row[name] for row in rows if name in row] for name in (f'{quantity}{MARK}{p}' for p in parts)]
        lines.append([quantity, *(f'{sum(v) / len(v):.4g}' if v else '-' for v in values)])
    return AsciiTable(lines).table
