"""The ``stages`` of a config: what trains, from which weights, with whose proposals, for how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmdet.utils.registry import did_you_mean

DETECTORS = ('whole', 'RPN', 'FastRCNN')


class StagePlanError(ValueError):
    """``stages`` of a config says something that cannot be done."""


@dataclass(frozen=True)
class Stage:
    """One stage of a training.

    Attributes:
        name: names its folder and what later stages refer to.
        detector: what is trained: ``'whole'`` (the config's detector), ``'RPN'`` (its first stage alone) or
            ``'FastRCNN'`` (its second stage alone, on stored proposals).
        proposals: for ``'FastRCNN'``: the earlier stage whose proposals it learns from.
        weights: where parts start from: earlier stage, or path of a checkpoint -> names of parts (``'backbone'``,
            ``'roi_head.bbox_head'``; ``''`` is everything). What is not named starts as the config says.
        frozen: names of parts that stay as they are, bit by bit.
        options: changes to the config for this stage, such as ``{'runner.max_iters': 1000}``.
    """

    name: str
    detector: str = 'whole'
    proposals: str | None = None
    weights: Mapping[str, Sequence[str]] = field(default_factory=dict)
    frozen: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def read_stages(entries: Any) -> list[Stage]:
    """The stages of a config, checked against one another.

    Args:
        entries: ``cfg.stages``: a list of dicts with the fields of :class:`Stage`.

    Raises:
        StagePlanError: no list of dicts, an unknown field, a name given twice, a reference to a stage that does not
            come before, a detector without the proposals that it needs.
    """
    if not isinstance(entries, (list, tuple)) or not entries:
        raise StagePlanError('the config has no stages: expected stages=[dict(name=..., ...), ...]')
    stages: list[Stage] = []
    for number, entry in enumerate(entries):
        stage = _read_stage(entry, f'stages[{number}]')
        _check_references(stage, stages, f'stages[{number}] ({stage.name})')
        stages.append(stage)
    return stages


def _read_stage(entry: Any, where: str) -> Stage:
    if not isinstance(entry, Mapping) or not isinstance(entry.get('name'), str):
        raise StagePlanError(f"{where}: expected dict(name='...', ...), got {entry!r}")
    known = Stage.__dataclass_fields__
    for key in entry:
        if key not in known:
            raise StagePlanError(f'{where}: unknown field {key!r}{did_you_mean(key, known)} Known: {", ".join(known)}')
    weights = {source: _as_parts(parts) for source, parts in (entry.get('weights') or {}).items()}
    stage = Stage(**{**entry, 'weights': weights, 'frozen': _as_parts(entry.get('frozen') or ())})
    if stage.detector not in DETECTORS:
        raise StagePlanError(
            f'{where}: detector {stage.detector!r} is none of {", ".join(DETECTORS)}'
            f'{did_you_mean(stage.detector, DETECTORS)}'
        )
    if '/' in stage.name or stage.name.startswith('.'):
        raise StagePlanError(f'{where}: the name {stage.name!r} cannot be a folder')
    return stage


def _as_parts(parts: str | Sequence[str]) -> tuple[str, ...]:
    return (parts,) if isinstance(parts, str) else tuple(parts)


def _check_references(stage: Stage, earlier: Sequence[Stage], where: str) -> None:
    names = [other.name for other in earlier]
    if stage.name in names:
        raise StagePlanError(f'{where}: there is an earlier stage of that name')
    if (stage.detector == 'FastRCNN') != (stage.proposals is not None):
        raise StagePlanError(f"{where}: detector='FastRCNN' and proposals='NAME_OF_A_STAGE' go together")
    if stage.proposals is not None and stage.proposals not in names:
        raise StagePlanError(f'{where}: no stage {stage.proposals!r} before it{did_you_mean(stage.proposals, names)}')
    source = next((other for other in earlier if other.name == stage.proposals), None)
    if source is not None and source.detector == 'FastRCNN':
        raise StagePlanError(f'{where}: the stage {stage.proposals!r} makes no proposals')
    for name in stage.weights:
        if name not in names and not _is_file_name(name):
            raise StagePlanError(
                f'{where}: weights come from an earlier stage or a file, {name!r} is neither{did_you_mean(name, names)}'
            )


def _is_file_name(name: str) -> bool:
    return '/' in name or name.endswith(('.pth', '.pt'))
