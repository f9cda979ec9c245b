"""Weights of mmdetection 3.x, whose detectors for the most part have the names of 2.x."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmdet.apis.conversion.rules import ConversionError

# what 3.x keeps in the model and 2.x in the pipeline
LEFT_OUT = ('data_preprocessor.',)
SHOWN = 4  # names in a message


def weights_of_mmdet3(content: Mapping[str, Any], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a checkpoint of 3.x for a model of this package.

    Names and shapes must agree one by one, which they do where 3.x did not cut a detector anew. DETR and its
    relatives, MaskFormer, Mask2Former and YOLACT were, and are refused.

    Args:
        content: of the file: weights under ``state_dict``, or weights alone.
        ours: weights of the model, for names and shapes.

    Raises:
        ConversionError: names or shapes do not agree; it lists them.
    """
    theirs = content.get('state_dict', content)
    theirs = {name: value for name, value in theirs.items() if not name.startswith(LEFT_OUT)}
    # counters of batches are absent from files of old versions of torch
    missing = [name for name in ours if name not in theirs and not name.endswith('num_batches_tracked')]
    unknown = [name for name in theirs if name not in ours]
    shapes = [
        f'{name} {tuple(theirs[name].shape)} instead of {tuple(value.shape)}'
        for name, value in ours.items()
        if name in theirs and theirs[name].shape != value.shape
    ]
    problems = [
        f'{len(names)} {what}: {", ".join(names[:SHOWN])}{" ..." if len(names) > SHOWN else ""}'
        for what, names in (
            ('entries are not in the file', missing),
            ('entries of the file are not in the model', unknown),
            ('entries have another shape', shapes),
        )
        if names
    ]
    if problems:
        raise ConversionError(f'the file does not fit the model of the config: {"; ".join(problems)}')
    return theirs


def classes_of_mmdet3(content: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of the classes that a checkpoint of 3.x was trained for; None: it does not say."""
    about = content.get('meta', {}).get('dataset_meta') or {}
    names = about.get('classes') or about.get('CLASSES')
    return None if names is None else tuple(names)
