"""Reads the JSON-lines log that a training run writes beside its text log."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.utils.errors import ReportedError
from mmdet.utils.registry import did_you_mean

ROW_KEYS = ('mode', 'epoch', 'iter')  # where a row belongs; not measured


class LogError(ReportedError, ValueError):
    """A file that is no log of a training."""


class Curve(NamedTuple):
    """One quantity of a log."""

    xs: list[float]
    ys: list[float]
    x_name: str  # 'epoch' for what is measured by validation, else 'iter'


class EpochTimes(NamedTuple):
    """Seconds an iteration, epoch by epoch."""

    epochs: list[int]
    means: list[float]
    overall: float  # mean of all iterations that count


def latest_json_log(work_dir: str | Path) -> Path:
    """The newest ``*.log.json`` of a work folder.

    Raises:
        FileNotFoundError: there is none.
    """
    logs = sorted(Path(work_dir).glob('*.log.json'))
    if not logs:
        raise FileNotFoundError(f'{work_dir}: no *.log.json; train with a TextLoggerHook in log_config.hooks first')
    return logs[-1]


def read_json_log(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a log that belong to a training or validation mode, in order.

    A last line that a killed run left unfinished is passed over.

    Raises:
        LogError: a line before the last is no JSON, or not what the logger writes.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise LogError(f'{path} is no text: {error}') from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise LogError(f'{path}, line {number}: no JSON ({error})') from error
        if not isinstance(row, dict):
            raise LogError(f'{path}, line {number}: expected an object, got {line.strip()[:40]}')
        if 'mode' in row:
            lacking = [key for key in ('epoch', 'iter') if not isinstance(row.get(key), int)]
            if lacking:
                raise LogError(f'{path}, line {number}: no number for {" and ".join(lacking)}')
            rows.append(row)
    return rows


def global_iterations(rows: list[dict[str, Any]]) -> list[int]:
    """Iterations since the start of training of the ``train`` rows; their ``iter`` starts anew with each epoch."""
    train = [row for row in rows if row['mode'] == 'train']
    starts_anew = any(b['iter'] <= a['iter'] for a, b in zip(train, train[1:]))
    length = max((row['iter'] for row in train), default=0) if starts_anew else 0
    return [(row['epoch'] - 1) * length + row['iter'] for row in train]


def measured_keys(rows: list[dict[str, Any]]) -> list[str]:
    """Names of the numbers in a log, in the order in which they appear."""
    names = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, (int, float)))
    return [name for name in names if name not in ROW_KEYS]


def curve(rows: list[dict[str, Any]], key: str, start_epoch: int = 1, eval_interval: int = 1) -> Curve:
    """A quantity against the epoch, where validation measured it, else against the iteration.

    Args:
        rows: of a log.
        key: such as ``'loss_cls'`` or ``'bbox_mAP'``.
        start_epoch: rows of earlier epochs are left out.
        eval_interval: validation rows of epochs that are no multiple of it are left out.

    Raises:
        KeyError: the log has no numbers by that name; the message names those that it has.
    """
    known = measured_keys(rows)
    if key not in known:
        there = f'It has: {", ".join(known)}' if known else 'It has no measured rows at all yet'
        raise KeyError(f'there is no {key!r}{did_you_mean(key, known)} {there}')
    if any(row['mode'] == 'train' and key in row for row in rows):
        train = [row for row in rows if row['mode'] == 'train']
        points = [
            (x, row[key])
            for x, row in zip(global_iterations(rows), train)
            if isinstance(row.get(key), (int, float)) and row['epoch'] >= start_epoch
        ]
        x_name = 'iter'
    else:
        points = [
            (row['epoch'], row[key])
            for row in rows
            if isinstance(row.get(key), (int, float))
            and row['epoch'] >= start_epoch
            and row['epoch'] % eval_interval == 0
        ]
        x_name = 'epoch'
    return Curve([x for x, _ in points], [y for _, y in points], x_name)


def epoch_times(rows: list[dict[str, Any]], include_outliers: bool = False) -> EpochTimes:
    """Seconds an iteration.

    Args:
        rows: of a log; training rows with ``time`` count.
        include_outliers: also count the first row of each epoch, which holds the start of the loading processes; it
            counts anyhow where an epoch has no other.

    Raises:
        KeyError: no row has a ``time``.
    """
    by_epoch: dict[int, list[float]] = {}
    for row in rows:
        if row['mode'] == 'train' and 'time' in row:
            by_epoch.setdefault(row['epoch'], []).append(row['time'])
    if not by_epoch:
        raise KeyError(f'there is no training row with a time. It has: {", ".join(measured_keys(rows)) or "no rows"}')
    if not include_outliers:
        by_epoch = {epoch: times[1:] or times for epoch, times in by_epoch.items()}
    counted = [time for times in by_epoch.values() for time in times]
    means = [sum(times) / len(times) for times in by_epoch.values()]
    return EpochTimes(list(by_epoch), means, sum(counted) / len(counted))
