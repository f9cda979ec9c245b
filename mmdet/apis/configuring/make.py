"""From annotations to a config file that trains as it is."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmcv import Config

from mmdet.apis.checking.config_check import check_config
from mmdet.apis.configuring import models
from mmdet.apis.configuring.annotations import AnnotationError
from mmdet.apis.configuring.data_section import data_section
from mmdet.apis.configuring.facts import Facts, find_facts
from mmdet.apis.configuring.read import Annotations, read_annotations, write_coco
from mmdet.apis.configuring.sources import (
    Joined,
    Source,
    check_incomplete,
    join_classes,
    similar_classes,
    source_names,
)
from mmdet.apis.configuring.split import split_content
from mmdet.apis.configuring.text import config_text
from mmdet.apis.configuring.weights import weights_message
from mmdet.datasets import audit_dataset, build_dataset
from mmdet.datasets.audit.annotation_rules import format_list
from mmdet.datasets.mixing.report import report_mixture
from mmdet.datasets.utils import head_num_classes
from mmdet.models import build_detector
from mmdet.utils import compat_cfg, get_device
from mmdet.utils.configs.read_config import read_config
from mmdet.utils.tool_command import tool_command


class Request(NamedTuple):
    """What a config is asked for."""

    train: Sequence[str | Path]  # annotations
    out: str | Path  # the config
    images: Sequence[str | Path] = ()  # folder for each of the training sets, or one for all
    val: str | Path | None = None  # annotations; None: every fifth training image
    val_images: str | Path | None = None
    model: str | None = None  # None: by the data and the device
    small: bool = False  # a small model that learns from scratch on a CPU
    weights: str | None = None  # a checkpoint to begin from: a path; torchvision://NAME for the backbone
    gpus: int = 1
    batch: int | None = None  # images a GPU
    epochs: int | None = None
    incomplete: Sequence[str] = ()  # names of training sets that miss objects


class Made(NamedTuple):
    """A config that was written."""

    path: Path
    text: str
    notes: list[str]  # what the user should know
    commands: list[str]  # what to run next


def make_config(request: Request) -> Made:
    """Read the annotations, choose what fits them, write the config, and check it, its model and its data.

    Annotations that are not in COCO's format are written as such, once, into the folder ``NAME_data`` beside the
    config; nothing else is written.

    Raises:
        AnnotationError: annotations cannot be read.
        ModelError: there is no such model, or it needs masks and the annotations have none.
        AuditError: the data cannot be trained on; the config is there by then.
    """
    out = Path(request.out)
    if out.suffix != '.py':
        raise AnnotationError(f'--out {out}: a config is a file .py')
    train, val, joined, notes = read_all(request, out)
    facts = find_facts([source.annotations.content for source in train])
    device = 'cpu' if request.small else get_device()
    name = models.SMALL if request.small else request.model or models.default_model(facts, device)
    base_path = models.find_model(name)
    base = compat_cfg(read_config(base_path))
    check_masks(base, facts, name)
    section = data_section(base, train, val, joined, facts, request.incomplete, name.startswith(models.SMALL))
    text = config_text(request, base_path, base, facts, joined, section)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding='utf-8')
    advice = check_written(out, request.gpus)
    if advice:
        lines = [f'# mixing_report: {line}' for line in advice]
        text = text.replace(section.mark, '\n'.join([*lines, section.mark]))
        out.write_text(text, encoding='utf-8')
    written = Config.fromfile(str(out))
    config, images = shlex.quote(str(out)), shlex.quote(written.data.val.img_prefix)
    work_dir = shlex.quote(f'work_dirs/{out.stem}')
    commands = [
        f'{tool_command("misc/browse_dataset.py")} {config} --output-dir pictures --not-show',
        f'{tool_command("train.py")} {config}',
        f'{tool_command("predict.py")} {images} {config} {work_dir}/latest.pth --out-dir predicted',
    ]
    notes += [*section.notes, *advice, *weights_message(written)]
    return Made(out, text, notes, commands)


def read_all(request: Request, out: Path) -> tuple[list[Source], Annotations, Joined, list[str]]:
    """The training sets, the validation set, both in COCO's files, their classes, and notes."""
    paths = [Path(path) for path in request.train]
    folders: list[str | Path | None] = list(request.images)
    if len(folders) not in (0, 1, len(paths)):
        raise AnnotationError(f'--images: give one folder for each of {len(paths)} training sets, or one for all')
    folders = folders * len(paths) if len(folders) == 1 else folders or [None] * len(paths)
    names = source_names(paths)
    check_incomplete(request.incomplete, names)
    read = [read_annotations(path, folder) for path, folder in zip(paths, folders)]
    data_dir = out.with_name(f'{out.stem}_data')
    notes = [note for annotations in read for note in annotations.notes]
    if request.val is None:
        train_part, val_part = split_content(read[0].content)
        if not val_part['images']:
            raise AnnotationError(f'{paths[0]} has a single image: give others for validation (--val)')
        notes.append('no --val was given: every fifth image of the first training set is for validation')
        val = read[0]._replace(content=val_part, path=None)
        read[0] = read[0]._replace(content=train_part, path=None)
    else:
        folder = request.val_images or (folders[0] if read[0].kind == 'coco' else None)
        val = read_annotations(request.val, folder, split='val')
        notes += val.notes
    joined = join_classes([annotations.names for annotations in read])
    notes += similar_classes(joined.classes)
    val, said = with_classes(val, joined)
    notes += said + shared_images(val, read)
    own = [*paths, *([Path(request.val)] if request.val else [])]
    written = [in_file(a, data_dir / f'{name}.json', own) for a, name in zip(read, names)]
    return list(map(Source, names, written)), in_file(val, data_dir / 'val.json', own), joined, notes


def shared_images(val: Annotations, train: Sequence[Annotations]) -> list[str]:
    """A note where images for validation are trained on as well, or images are in two training sets."""
    files = [
        {os.path.abspath(annotations.images / str(image['file_name'])) for image in annotations.content['images']}
        for annotations in (val, *train)
    ]
    notes = []
    trained = files[0] & set().union(*files[1:])
    if trained:
        notes.append(
            f'{len(trained)} of the {len(files[0])} images for validation are trained on as well, such as '
            f'{min(trained)}: its figures will be better than those of other images'
        )
    twice = sum(map(len, files[1:])) - len(set().union(*files[1:]))
    if twice:
        notes.append(f'{twice} images are in more than one training set')
    return notes


def with_classes(val: Annotations, joined: Joined) -> tuple[Annotations, list[str]]:
    """The validation set, with the trained classes that it lacks where its file is written here; and notes.

    Raises:
        AnnotationError: it has none of the trained classes.
    """
    other = [name for name in val.names if name not in joined.classes]
    if val.names and len(other) == len(val.names):
        raise AnnotationError(
            f'none of the classes for validation ({format_list(other)}) is trained: {format_list(joined.classes)}'
        )
    notes = (
        [f'validation has {format_list(other)}, which no training set has; their boxes do not count'] if other else []
    )
    if val.path is not None:
        return val, notes
    first = 1 + max((category['id'] for category in val.content['categories']), default=0)
    lacking = [name for name in joined.classes if name not in val.names]
    more = [dict(id=i, name=name, supercategory='none') for i, name in enumerate(lacking, first)]
    return val._replace(content={**val.content, 'categories': [*val.content['categories'], *more]}), notes


def in_file(annotations: Annotations, path: Path, own: Sequence[Path]) -> Annotations:
    """Annotations that are in a file of COCO's format."""
    if annotations.path is None:
        write_coco(annotations.content, path, own)
        return annotations._replace(path=path)
    return annotations


def check_masks(base: Config, facts: Facts, name: str) -> None:
    """Check that a model of masks gets masks.

    Raises:
        ModelError: it does not.
    """
    roi_head = base.model.get('roi_head') or {}
    if (roi_head.get('mask_head') or base.model.get('mask_head')) and not facts.has_masks:
        raise models.ModelError(f'{name} learns masks, and the annotations have boxes alone; take a model without')


def check_written(path: Path, gpus: int) -> list[str]:
    """Build model and data sets of a config as a training would, audit them, and give what mixing_report advises."""
    cfg = compat_cfg(read_config(path))
    check_config(cfg)
    model: dict[str, Any] = {**cfg.model, 'pretrained': None} if 'pretrained' in cfg.model else cfg.model
    counts = head_num_classes(build_detector(model))
    train: Any = build_dataset(cfg.data.train)
    audit_dataset(train, num_classes=counts)
    audit_dataset(build_dataset(cfg.data.val, dict(test_mode=True)), num_classes=counts)
    if cfg.data.train.type != 'ConcatDataset':
        return []
    report = report_mixture(train, samples_per_gpu=cfg.data.train_dataloader.samples_per_gpu, world_size=gpus)
    return [*report.warnings, *report.advice]
