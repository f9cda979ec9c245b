"""Reads the JSON-lines log that a training run writes beside its text log."""

import json
from pathlib import Path


def latest_json_log(work_dir: str | Path) -> Path:
    """The newest ``*.log.json`` of a work folder.

    Raises:
        FileNotFoundError: there is none.
    """
    logs = sorted(Path(work_dir).glob('*.log.json'))
    if not logs:
        raise FileNotFoundError(f'{work_dir}: no *.log.json; train with a TextLoggerHook in log_config.hooks first')
    return logs[-1]


def read_json_log(path: str | Path) -> list[dict]:
    """Rows of a log that belong to a training or validation mode, in order.

    A last line that a killed run left unfinished is passed over.

    Raises:
        ValueError: a line before the last is no JSON.
    """
    lines = Path(path).read_text(encoding='utf-8').splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise ValueError(f'{path}, line {number}: no JSON ({error})') from error
        if 'mode' in row:
            rows.append(row)
    return rows


def global_iterations(rows: list[dict]) -> list[int]:
    """Iterations since the start of training of the ``train`` rows; their ``iter`` starts anew with each epoch."""
    train = [row for row in rows if row['mode'] == 'train']
    starts_anew = any(b['iter'] <= a['iter'] for a, b in zip(train, train[1:]))
    length = max((row['iter'] for row in train), default=0) if starts_anew else 0
    return [(row['epoch'] - 1) * length + row['iter'] for row in train]
