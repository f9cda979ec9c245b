"""What a training in stages has done so far, on disk: ``stages.json`` to go on from and ``stages.md`` to read."""

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.apis.stage_plan import Stage, StagePlanError
from mmdet.datasets.audit.annotation_rules import format_list
from mmdet.utils import atomic_write

# What the weights that come out depend on, of a config beside its stages; ``data`` without what is left out below.
RESULT_KEYS = (
    'seed', 'processes', 'model', 'train_cfg', 'test_cfg', 'data', 'optimizer', 'optimizer_config', 'lr_config',
    'momentum_config', 'runner', 'workflow', 'custom_hooks', 'fp16', 'auto_scale_lr', 'find_unused_parameters',
)  # fmt: skip
# Data that are not used, and how they are loaded, not what.
UNUSED_KEYS = ('test', 'test_dataloader', 'workers_per_gpu', 'persistent_workers', 'pin_memory', 'prefetch_factor')
SHOWN = ('AR@100', 'AR@300', 'AR@1000', 'bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'keypoints_mAP', 'mAP')


class StageRecord:
    """Rows of the stages that are done.

    Args:
        folder: where the two files are.
        stages: the plan; a record of another plan is refused.
        settings: name -> value of all else that the result depends on; a record of other settings is refused.

    Raises:
        StagePlanError: the folder holds the record of other stages or settings.
    """

    def __init__(self, folder: Path, stages: Sequence[Stage], settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.plan = as_json([dataclasses.asdict(stage) for stage in stages])
        self.settings = as_json(settings)
        self.rows: list[dict[str, Any]] = []
        self.reload()

    @property
    def path(self) -> Path:
        """The file that a run goes on from."""
        return self.folder / 'stages.json'

    def reload(self) -> None:
        """Read the rows again, where there is a file."""
        if not self.path.exists():
            return
        content = json.loads(self.path.read_text())
        if content['plan'] != self.plan:
            raise StagePlanError(
                f'{self.path} is the record of other stages than those of the config; give another --work-dir, or '
                'remove that folder to begin anew'
            )
        self._check_settings(content)
        self.rows = content['rows']

    def _check_settings(self, content: Mapping[str, Any]) -> None:
        # records of earlier versions have the seed alone
        before = content['settings'] if 'settings' in content else {'seed': content['seed']}
        mine = self.settings if 'settings' in content else {'seed': self.settings.get('seed')}
        changed = [
            f'{name} was {_shown(before, name)} and is {_shown(mine, name)}'
            for name in sorted(before.keys() | mine.keys())
            if (name in before, before.get(name)) != (name in mine, mine.get(name))
        ]
        if changed:
            raise StagePlanError(
                f'{self.path} is the record of a run with other settings: {format_list(changed)}. Going on would mix '
                'the two: set them back, or give another --work-dir, or remove that folder to begin anew. Where both '
                'mean the same, such as data that were moved, change the value in that file'
            )

    def is_done(self, name: str) -> bool:
        """Whether a stage has been trained and evaluated."""
        return any(row['stage'] == name for row in self.rows)

    def add(self, name: str, figures: dict[str, float], seconds: float) -> None:
        """Note that a stage is done; both files are written whole."""
        self.rows.append(dict(stage=name, figures=figures, seconds=round(seconds, 1)))
        self.write()

    def write(self) -> None:
        """Write both files, each whole."""
        content = json.dumps(dict(plan=self.plan, settings=self.settings, rows=self.rows), indent=1)
        for path, text in ((self.path, content), (self.folder / 'stages.md', self.table())):
            with atomic_write(path) as file:
                file.write(text + '\n')

    def table(self) -> str:
        """A Markdown table: a row a stage, a column for each figure that any of them has."""
        columns = [key for key in SHOWN if any(key in row['figures'] for row in self.rows)]
        lines = [['stage', *columns, 'seconds'], ['---'] * (len(columns) + 2)]
        for row in self.rows:
            figures = [f'{row["figures"][key]:.3f}' if key in row['figures'] else '' for key in columns]
            lines.append([row['stage'], *figures, f'{row["seconds"]:.0f}'])
        return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def result_settings(cfg: Mapping[str, Any], processes: int) -> dict[str, Any]:
    """The settings of a config that change the result of a training in stages: dotted name -> value.

    Args:
        cfg: config of the run.
        processes: number of processes that train.
    """
    wanted = {key: cfg[key] for key in RESULT_KEYS if key in cfg}
    wanted['processes'] = processes
    if 'data' in wanted:
        wanted['data'] = {key: _without(value) for key, value in wanted['data'].items() if key not in UNUSED_KEYS}
    return dict(_flat(as_json(wanted), ''))


def _without(section: Any) -> Any:
    """A section of ``data`` without the settings that change nothing."""
    if not isinstance(section, Mapping):
        return section
    return {key: value for key, value in section.items() if key not in UNUSED_KEYS}


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of all that dicts and lists hold; empty ones are values themselves."""
    if not isinstance(value, (dict, list)) or not value:
        yield name, value
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(part, f'{name}.{key}'.lstrip('.'))


def as_json(value: Any) -> Any:
    """A value as it comes back from a JSON file; other objects become lists or texts, the same in every process."""
    return json.loads(json.dumps(_with_text_keys(value), default=_plain))


def _with_text_keys(value: Any) -> Any:
    """Dicts with texts for keys, in dicts, lists and tuples too."""
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(part) for key, part in value.items()}
    return [_with_text_keys(part) for part in value] if isinstance(value, (list, tuple)) else value


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if hasattr(value, 'tolist'):  # numpy's
        return value.tolist()
    return list(value) if isinstance(value, Iterable) else re.sub(' at 0x[0-9a-fA-F]+', '', repr(value))


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else 'not set'
