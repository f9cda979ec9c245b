"""What a training in stages has done so far, on disk: ``stages.json`` to go on from and ``stages.md`` to read."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .stage_plan import Stage, StagePlanError

SHOWN = ('AR@100', 'AR@300', 'AR@1000', 'bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'keypoints_mAP', 'mAP')


class StageRecord:
    """Rows of the stages that are done.

    Args:
        folder: where the two files are.
        stages: the plan; a record of another plan is refused.
        seed: of the run.

    Raises:
        StagePlanError: the folder holds the record of other stages.
    """

    def __init__(self, folder: Path, stages: Sequence[Stage], seed: int | None) -> None:
        self.folder = folder
        self.plan = json.loads(json.dumps([dataclasses.asdict(stage) for stage in stages], default=list))
        self.seed = seed
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
        self.rows = content['rows']

    def is_done(self, name: str) -> bool:
        """Whether a stage has been trained and evaluated."""
        return any(row['stage'] == name for row in self.rows)

    def add(self, name: str, figures: dict[str, float], seconds: float) -> None:
        """Note that a stage is done; both files are written whole."""
        self.rows.append(dict(stage=name, figures=figures, seconds=round(seconds, 1)))
        self.folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(dict(plan=self.plan, seed=self.seed, rows=self.rows), indent=1)
        for file, text in ((self.path, content), (self.folder / 'stages.md', self.table())):
            temporary = file.with_name(f'.{file.name}.tmp')
            temporary.write_text(text + '\n')
            os.replace(temporary, file)

    def table(self) -> str:
        """A Markdown table: a row a stage, a column for each figure that any of them has."""
        columns = [key for key in SHOWN if any(key in row['figures'] for row in self.rows)]
        lines = [['stage', *columns, 'seconds'], ['---'] * (len(columns) + 2)]
        for row in self.rows:
            figures = [f'{row["figures"][key]:.3f}' if key in row['figures'] else '' for key in columns]
            lines.append([row['stage'], *figures, f'{row["seconds"]:.0f}'])
        return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
