"""The text of a config file."""

import os
from pathlib import Path
from typing import Any

from mmcv import Config

from mmdet.apis.configuring import models, plan
from mmdet.apis.configuring.data_section import DataSection, plain
from mmdet.apis.configuring.facts import Facts
from mmdet.apis.configuring.literals import literal
from mmdet.apis.configuring.sources import SOURCES_DIFFER, Joined

ORDER = (
    *('optimizer', 'lr_config', 'runner', 'evaluation', 'report'),
    *('checkpoint_config', 'log_config', 'custom_hooks'),
)


def config_text(request: Any, base_path: Path, base: Config, facts: Facts, joined: Joined, section: DataSection) -> str:
    """All of the file.

    Args:
        request: what was asked for, see :class:`mmdet.apis.configuring.make.Request`.
        base_path: of the base config.
        base: its content.
        facts: of the training data.
        joined: the classes.
        section: pipelines and data sets.
    """
    base = Config(plain(base._cfg_dict), filename=str(base_path))
    lines = [
        f'# Made by tools/make_config.py: {facts.images} training images, {facts.boxes} objects. Change what you like.',
        f'_base_ = {base_link(base_path, Path(request.out))!r}',
        f'classes = {literal(joined.classes)}',
    ]
    model, reason = model_overrides(base, facts, len(joined.classes), section.factor)
    if len(request.train) > 1 or request.incomplete:
        model.update(SOURCES_DIFFER)
    if request.weights and request.weights.startswith('torchvision://'):
        model.setdefault('backbone', {})['init_cfg'] = dict(type='Pretrained', checkpoint=request.weights)
    lines += [f'# anchors: {reason}'] if reason else []
    lines += [f'model = {literal(model)}', '', section.text]
    batch = request.batch or min(base.data.train_dataloader.get('samples_per_gpu', 2), max(facts.images, 1))
    lines += [f'data = dict(samples_per_gpu={batch}, train=train, val=val, test=val)', '']
    settings = plan.schedule(base, facts, batch, request.gpus, metrics(base), request.epochs)
    for key in ORDER:
        if key in settings.values:
            lines += [f'# {settings.reasons[key]}'] if key in settings.reasons else []
            lines.append(f'{key} = {literal(settings.values[key])}')
    if request.weights and not request.weights.startswith('torchvision://'):
        lines.append(f'load_from = {Path(request.weights).resolve().as_posix()!r}')
    return '\n'.join(lines) + '\n'


def base_link(base_path: Path, out: Path) -> str:
    """The base config as seen from the file: relative within one checkout, else absolute."""
    root = models.config_root().parent
    inside = root in out.resolve().parents and root in base_path.parents
    return Path(os.path.relpath(base_path, out.resolve().parent)).as_posix() if inside else base_path.as_posix()


def metrics(base: Config) -> list[str]:
    """What is evaluated: boxes, and masks where the model has them."""
    roi_head = base.model.get('roi_head') or {}
    has_masks = bool(roi_head.get('mask_head') or base.model.get('mask_head'))
    return ['bbox', 'segm'] if has_masks else ['bbox']


def model_overrides(base: Config, facts: Facts, count: int, factor: float) -> tuple[dict[str, Any], str]:
    """What changes in the model: numbers of classes, anchors; and what is known of the anchors."""
    model = models.class_overrides(base.model, count)
    head = models.anchor_head(base.model)
    if head is None:
        return model, ''
    name, generator = head
    change, reason = models.choose_scale(generator, facts.box_wh * factor)
    if change:
        model.setdefault(name, {})['anchor_generator'] = change
    return model, reason
