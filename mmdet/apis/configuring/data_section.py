"""The keys ``train_pipeline``, ``test_pipeline`` and ``data`` of a config."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmcv import Config

from mmdet.apis.configuring.facts import Facts
from mmdet.apis.configuring.literals import Name, literal
from mmdet.apis.configuring.plan import image_scale, with_scale
from mmdet.apis.configuring.read import Annotations
from mmdet.apis.configuring.sources import Joined, Source, image_settings, missing_classes

MIX = 'MultiImageMixDataset'


class DataSection(NamedTuple):
    """Text of a config."""

    text: str
    mark: str  # the line that advice on the mixture stands before
    factor: float  # images of the median size are resized by it
    notes: list[str]


def data_section(
    base: Config,
    train: Sequence[Source],
    val: Annotations,
    joined: Joined,
    facts: Facts,
    incomplete: Sequence[str],
    small: bool,
) -> DataSection:
    """The text of the pipelines and the data sets."""
    train_base = base.data.train.to_dict() if hasattr(base.data.train, 'to_dict') else dict(base.data.train)
    mixes = train_base.get('type') == MIX
    lines, factor = pipeline_lines(base, train_base, facts, small)
    set_lines, configs, notes = source_lines(train, joined, incomplete, mixes)
    data_train = join_text(configs, joined)
    if mixes:
        rest = {key: value for key, value in train_base.items() if key not in ('type', 'dataset', 'pipeline')}
        data_train = dict(type=MIX, dataset=data_train, pipeline=Name('train_pipeline'), **rest)
    val_cfg = dict(
        _delete_=True,
        type='CocoDataset',
        classes=Name('classes'),
        ann_file=text_of(val.path),
        img_prefix=text_of(val.images),
        pipeline=Name('test_pipeline'),
    )
    whole = data_train if isinstance(data_train, Name) else dict(_delete_=True, **data_train)
    mark = f'train = {literal(whole)}'
    text = '\n'.join([*lines, *set_lines, f'val = {literal(val_cfg)}', mark])
    return DataSection(text, mark, factor, notes)


def pipeline_lines(base: Config, train_base: dict[str, Any], facts: Facts, small: bool) -> tuple[list[str], float]:
    """The lines of the pipelines, and the factor by which images of the median size are resized.

    A base config that mixes images keeps the size that its steps have; how its images are loaded is a pipeline of its
    own.
    """
    scale, factor, reason = image_scale(facts, small)
    mixes = train_base.get('type') == MIX
    inner = train_base['dataset']['pipeline'] if mixes else train_base.get('pipeline')
    steps = plain(train_base['pipeline'] if mixes else inner)
    test_steps = plain(base.data.val.pipeline)
    new, new_test = (None, None) if mixes else (with_scale(steps, scale), with_scale(test_steps, scale))
    lines = [f'# {reason}']
    if new is None or new_test is None:
        lines = [f'# image size as in the base config; {reason}']
        new, new_test, factor = steps, test_steps, base_factor(test_steps, facts)
    lines.append(f'train_pipeline = {pipeline_text(base, "train_pipeline", new)}')
    lines.append(f'test_pipeline = {pipeline_text(base, "test_pipeline", new_test)}')
    return lines + [f'load_pipeline = {literal(plain(inner))}'] * mixes, factor


def source_lines(
    train: Sequence[Source], joined: Joined, incomplete: Sequence[str], mixes: bool
) -> tuple[list[str], list[Name], list[str]]:
    """The lines of the training sets, the names of their configs, and what is to be said of them."""
    single = len(train) == 1
    total = sum(len(source.annotations.content['images']) for source in train)
    pipeline = Name('load_pipeline' if mixes else 'train_pipeline')
    lines, configs, notes = [], [], []
    for source in train:
        cfg = source_config(source, pipeline, single=single, whole=single and not mixes)
        settings, why = image_settings(source, incomplete, total)
        cfg.update(settings)
        lines += [f'# {source.name}: {why}'] if why else []
        lines += [] if single else [f'# {line}' for line in missing_classes(source, joined)]
        variable = f'{source.name}_set' if source.name.isidentifier() else f'set_{source.name}'
        lines.append(f'{variable} = {literal(cfg)}')
        configs.append(Name(variable))
        notes += [f'{source.name}: {why}'] if why else []
    return lines, configs, notes


def source_config(source: Source, pipeline: Name, single: bool, whole: bool) -> dict[str, Any]:
    """The config of a training set; ``single``: with classes of its own, ``whole``: in place of the base config's."""
    own = dict(classes=Name('classes')) if single else dict(name=source.name)
    return dict(
        **(dict(_delete_=True) if whole else {}),
        type='CocoDataset',
        **own,
        ann_file=text_of(source.annotations.path),
        img_prefix=text_of(source.annotations.images),
        pipeline=pipeline,
    )


def join_text(configs: Sequence[Name], joined: Joined) -> Any:
    """The config of one data set, or of several that are joined."""
    if len(configs) == 1:
        return configs[0]
    rename = dict(rename=joined.rename) if joined.rename else {}
    return dict(type='ConcatDataset', classes=Name('classes'), **rename, datasets=list(configs))


def base_factor(test_steps: Sequence[dict[str, Any]], facts: Facts) -> float:
    """By how much the base config resizes images of the median size."""
    scale = next((step['img_scale'] for step in test_steps if 'img_scale' in step), facts.size_wh)
    scale = scale[0] if isinstance(scale, list) else scale
    long, short = (max(side, 1) for side in facts.size_wh)
    return min(max(scale) / long, min(scale) / short)


def pipeline_text(base: Config, name: str, steps: Sequence[dict[str, Any]]) -> str:
    """A pipeline, by its name in the base config where it is the same."""
    same = base.get(name) is not None and plain(base[name]) == plain(steps)
    return f'{{{{_base_.{name}}}}}' if same else literal(list(steps))


def plain(value: Any) -> Any:
    """Configs without their classes."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


def text_of(path: Path | None) -> str:
    """An absolute path, so that the config runs from anywhere; folders end with a stroke."""
    assert path is not None, 'annotations are in a file by now'
    full = path.resolve()
    return f'{full.as_posix()}/' if full.is_dir() else full.as_posix()
