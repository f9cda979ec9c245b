"""What a work folder says of a training: curves over one axis of iterations, its length, time, memory, checkpoints."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.utils.running.json_log import epoch_times, global_iterations, measured_keys, read_json_log
from mmdet.utils.running.progress import duration

AP_NAME = re.compile(r'(^|_)(mAP|mAP_50|mAP_75|AP50|AP75|PQ|mIoU)$')
SHOWN_FIRST = ('loss', 'mAP')  # endings of the series that are drawn before anybody chooses


class Series(NamedTuple):
    """One quantity against the iteration."""

    name: str
    xs: list[int]
    ys: list[float]


class History(NamedTuple):
    """A training's log."""

    losses: list[Series]
    source_losses: list[Series]  # parts of the losses by source
    figures: list[Series]  # AP and the like, of validation
    facts: dict[str, str]


def read_history(work_dir: Path) -> History:
    """The log of a work folder; empty where there is none."""
    logs = sorted(work_dir.glob('*.log.json'))
    rows = joined_rows([read_json_log(path) for path in logs])
    series = _series(rows)
    losses = [one for one in series if 'loss' in one.name]
    figures = [one for one in series if AP_NAME.search(one.name) and 'loss' not in one.name]
    return History(
        [one for one in losses if '/' not in one.name],
        [one for one in losses if '/' in one.name],
        figures,
        {**_facts(rows), **_checkpoints(work_dir)},
    )


def joined_rows(logs: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of a run that was resumed: what a later log repeats, or begins anew, counts in its place."""
    rows: list[dict[str, Any]] = []
    for log in logs:
        first = next(((row['epoch'], row['iter']) for row in log if row['mode'] == 'train'), None)
        if first is None:
            continue
        kept: list[dict[str, Any]] = []
        for row in rows:
            if row['mode'] == 'train' and (row['epoch'], row['iter']) >= first:
                break
            kept.append(row)
        rows = kept + log
    return rows


def _series(rows: list[dict[str, Any]]) -> list[Series]:
    """Every measured quantity against the iteration; what does not exist (-1, no number) is left out."""
    places = _places(rows)
    out = []
    for name in measured_keys(rows):
        points = [(x, row[name]) for x, row in zip(places, rows) if isinstance(row.get(name), (int, float))]
        points = [(x, y) for x, y in points if y == y and abs(y) != float('inf') and not (y < 0 and 'loss' not in name)]
        if points:
            out.append(Series(name, [x for x, _ in points], [float(y) for _, y in points]))
    return out


def _places(rows: list[dict[str, Any]]) -> list[int]:
    """The iteration of each row; validation stands at the end of its epoch, or where the training was."""
    iterations = iter(global_iterations(rows))
    train = [row for row in rows if row['mode'] == 'train']
    by_epoch = any(b['iter'] <= a['iter'] for a, b in zip(train, train[1:]))
    length = max((row['iter'] for row in train), default=0)
    places, present = [], 0
    for row in rows:
        if row['mode'] == 'train':
            present = next(iterations)
            places.append(present)
        else:
            places.append(row['epoch'] * length if by_epoch else present)
    return places


def _facts(rows: list[dict[str, Any]]) -> dict[str, str]:
    train = [row for row in rows if row['mode'] == 'train']
    if not train:
        return {'log': 'none'}
    iterations = global_iterations(rows)[-1]
    facts = {'length': f'{train[-1]["epoch"]} epochs, {iterations} iterations as logged'}
    if any('time' in row for row in train):
        seconds = epoch_times(rows).overall
        facts['time'] = f'{duration(seconds * iterations)} of training, {seconds:.3f} s an iteration'
        waiting = [row['data_time'] / row['time'] for row in train if row.get('time') and 'data_time' in row]
        if waiting:
            facts['waiting for data'] = f'{100 * sum(waiting) / len(waiting):.0f} % of the time'
    memory = max((row.get('memory', 0) for row in train), default=0)
    facts['memory'] = f'{memory} MiB of the GPU at most' if memory else 'not measured: no GPU'
    return facts


def _checkpoints(work_dir: Path) -> Mapping[str, str]:
    """The last checkpoint of a folder and the best one."""
    out = {}
    numbered = sorted(work_dir.glob('*.pth'), key=lambda path: path.stat().st_mtime)
    best = [path for path in numbered if path.name.startswith('best_')]
    last = [path for path in numbered if not path.name.startswith('best_') and not path.is_symlink()]
    for name, found in (('last checkpoint', last), ('best checkpoint', best)):
        if found:
            stat = found[-1].stat()
            when = time.strftime('%Y-%m-%d %H:%M', time.localtime(stat.st_mtime))
            out[name] = f'{found[-1].name} ({stat.st_size / 2**20:.1f} MiB, {when})'
    return out
