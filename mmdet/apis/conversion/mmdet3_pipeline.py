"""Pipelines of mmdetection 3.x in the steps of 2.x, with what 3.x leaves to the model: normalising and padding."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.apis.conversion.rules import ConversionError

# steps with the same name and arguments in both lines
SAME = ('PhotoMetricDistortion', 'MinIoURandomCrop', 'Expand', 'CutOut', 'InstaBoost', 'Albu', 'LoadProposals')
FORMATTING = ('PackDetInputs',)
Step = dict[str, Any]


def convert_train_pipeline(steps: Sequence[Mapping[str, Any]], images: Mapping[str, Any]) -> list[Step]:
    """Steps of the training; what is packed is collected.

    Args:
        steps: of 3.x, types without scopes.
        images: ``mean``, ``std``, ``to_rgb`` and ``divisor`` of the model's preprocessor.

    Raises:
        ConversionError: a step has no counterpart.
    """
    found = [convert_step(step) for step in steps if step['type'] not in FORMATTING]
    keys = ['img', 'gt_bboxes', 'gt_labels']
    loading = next((step for step in found if step['type'] == 'LoadAnnotations'), {})
    keys += ['gt_masks'] if loading.get('with_mask') else []
    keys += ['gt_semantic_seg'] if loading.get('with_seg') else []
    if not any(step['type'] == 'RandomFlip' for step in found):  # 2.x collects what it says
        found.append(dict(type='RandomFlip', flip_ratio=0.0))
    ending: list[Step] = [dict(type='DefaultFormatBundle'), dict(type='Collect', keys=keys)]
    return [*found, *_normalise_and_pad(images), *ending]


def convert_test_pipeline(steps: Sequence[Mapping[str, Any]], images: Mapping[str, Any]) -> list[Step]:
    """Steps of a test: ``MultiScaleFlipAug`` with one size and no flip around them."""
    steps = [step for step in steps if step['type'] not in (*FORMATTING, 'LoadAnnotations')]
    load, *others = [convert_step(step) for step in steps]
    if load['type'] != 'LoadImageFromFile' or [step['type'] for step in others] != ['Resize']:
        names = [step['type'] for step in steps]
        raise ConversionError(f'a test pipeline must load an image and resize it once, got {", ".join(names)}')
    scale = others[0].pop('img_scale')
    inner = [
        others[0],
        dict(type='RandomFlip'),
        *_normalise_and_pad(images),
        dict(type='ImageToTensor', keys=['img']),
        dict(type='Collect', keys=['img']),
    ]
    return [load, dict(type='MultiScaleFlipAug', img_scale=scale, flip=False, transforms=inner)]


def _normalise_and_pad(images: Mapping[str, Any]) -> list[Step]:
    return [
        dict(type='Normalize', mean=images['mean'], std=images['std'], to_rgb=images['to_rgb']),
        dict(type='Pad', size_divisor=images['divisor']),
    ]


def convert_step(step: Mapping[str, Any]) -> Step:
    """One step.

    Raises:
        ConversionError: it has no counterpart, or an argument that has none.
    """
    step = {key: value for key, value in step.items() if key != 'backend_args'}
    kind = step.pop('type')
    if kind in SAME:
        return dict(type=kind, **step)
    if kind not in STEPS:
        known = ', '.join((*STEPS, *SAME, *FORMATTING))
        raise ConversionError(f'the pipeline step {kind} is not converted; known are {known}')
    name, renamed, fixed = STEPS[kind]
    unknown = sorted(set(step) - set(renamed))
    if unknown:
        raise ConversionError(f'{kind}: {", ".join(unknown)} have no counterpart in {name} of 2.x')
    return {'type': name, **fixed, **{renamed[key]: _sizes(value) for key, value in step.items()}}


def _sizes(value: Any) -> Any:
    """Sizes as 2.x wants them: a tuple, or a list of tuples."""
    if not isinstance(value, (list, tuple)) or not value:
        return value
    if all(isinstance(item, (list, tuple)) for item in value):
        return [tuple(item) for item in value]
    return tuple(value) if all(isinstance(item, (int, float)) for item in value) else value


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


STRETCHED = dict(keep_ratio=False)  # the default of 3.x, and not that of 2.x
# step of 3.x -> step of 2.x, names of its arguments here, arguments that are always given
STEPS: dict[str, tuple[str, dict[str, str], Step]] = {
    'LoadImageFromFile': ('LoadImageFromFile', _same('to_float32', 'color_type'), {}),
    'LoadAnnotations': ('LoadAnnotations', _same('with_bbox', 'with_mask', 'with_seg', 'poly2mask'), {}),
    'Resize': ('Resize', dict(scale='img_scale', keep_ratio='keep_ratio'), STRETCHED),
    'RandomChoiceResize': (
        'Resize',
        dict(scales='img_scale', keep_ratio='keep_ratio'),
        dict(STRETCHED, multiscale_mode='value'),
    ),
    'RandomResize': (
        'Resize',
        dict(scale='img_scale', keep_ratio='keep_ratio', ratio_range='ratio_range'),
        dict(STRETCHED, multiscale_mode='range'),
    ),
    'RandomFlip': ('RandomFlip', dict(prob='flip_ratio', direction='direction'), {}),
    'RandomCrop': (
        'RandomCrop',
        _same('crop_size', 'crop_type', 'allow_negative_crop', 'recompute_bbox', 'bbox_clip_border'),
        {},
    ),
    'FilterAnnotations': ('FilterAnnotations', _same('min_gt_bbox_wh', 'keep_empty', 'by_box', 'by_mask'), {}),
}
