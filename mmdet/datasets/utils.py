"""Small helpers around data sets: pipelines rewritten for a purpose, and the check of a model's number of classes."""

import copy
from collections.abc import Sequence
from typing import Any

from mmcv.runner.hooks import HOOKS, Hook
from torch import nn

from mmdet.datasets.audit.checks import PANOPTIC_COUNTS, all_classes
from mmdet.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile, LoadPanopticAnnotations

# Steps that load an image or its annotations and leave both as they are.
LOADING_STEPS = tuple(step.__name__ for step in (LoadImageFromFile, LoadAnnotations, LoadPanopticAnnotations))

# Parts of a model, with all below them, and kinds of module, with those derived from them, whose num_classes counts
# something else than the data set's classes.
_OTHER_CLASSES_PARTS = {'backbone', 'rpn_head', 'extra_bbox_head'}
_OTHER_CLASSES_TYPES = {'FusedSemanticHead'}


def replace_ImageToTensor(pipelines: Sequence[dict]) -> list[dict]:  # noqa: N802 - public name
    """A copy of the test pipeline's config that can make batches of several images.

    ``ImageToTensor`` makes plain tensors, which cannot be padded to one size; ``DefaultFormatBundle`` takes its place,
    also inside test-time augmentation.
    """
    pipelines = copy.deepcopy(list(pipelines))
    for i, step in enumerate(pipelines):
        if step['type'] == 'MultiScaleFlipAug':
            step['transforms'] = replace_ImageToTensor(step['transforms'])
        elif step['type'] == 'ImageToTensor':
            pipelines[i] = {'type': 'DefaultFormatBundle'}
    return pipelines


def get_loading_pipeline(pipeline: Sequence[dict]) -> list[dict]:
    """The two steps of a pipeline's config that load image and annotations, for looking at data as it is.

    Raises:
        ValueError: there are not exactly one of each.
    """
    steps = [step for step in pipeline if _is_loading_step(step['type'])]
    if len(steps) != 2:
        raise ValueError(
            'Expected one step that loads the image and one that loads annotations '
            f'({", ".join(LOADING_STEPS)}), got {[step["type"] for step in steps]} '
            f'in the pipeline {[step["type"] for step in pipeline]}'
        )
    return steps


def _is_loading_step(name: Any) -> bool:
    return (name if isinstance(name, str) else getattr(name, '__name__', '')) in LOADING_STEPS


def head_num_classes(model: nn.Module) -> dict[str, int]:
    """``num_classes`` of every part of a model that predicts the data set's classes, by the part's name.

    Of heads that tell things from stuff also these counts, by the names of the part and the argument.
    """
    counts = {}
    for name, module in model.named_modules():
        kinds = {kind.__name__ for kind in type(module).__mro__}
        other = set(name.split('.')) & _OTHER_CLASSES_PARTS or kinds & _OTHER_CLASSES_TYPES
        if not other and isinstance(getattr(module, 'num_classes', None), int):
            counts[name] = module.num_classes
        own = {key: getattr(module, key, None) for key in PANOPTIC_COUNTS} if '.' not in name and name else {}
        counts |= {f'{name}.{key}': count for key, count in own.items() if isinstance(count, int)}
    return counts


def expected_num_classes(dataset: Any, head: str) -> int | None:
    """How many classes a head of a model must predict to fit a data set, or wrappers around one.

    Args:
        dataset: with ``CLASSES``; ``num_classes_of(head)``, where it has one, counts for heads of some of them.
        head: name of the head in the model, such as ``'roi_head.bbox_head'``, as :func:`head_num_classes` gives it.

    Returns:
        None where the data set does not say.
    """
    while not hasattr(dataset, 'num_classes_of') and (hasattr(dataset, 'dataset') or hasattr(dataset, 'datasets')):
        dataset = dataset.datasets[0] if hasattr(dataset, 'datasets') else dataset.dataset
    return dataset.num_classes_of(head) if hasattr(dataset, 'num_classes_of') else all_classes(dataset.CLASSES, head)


@HOOKS.register_module()
class NumClassCheckHook(Hook):
    """Stops an epoch before its first step when a head predicts another number of classes than the data set has."""

    def _check_head(self, runner) -> None:
        """Compare heads and data set.

        Raises:
            TypeError: the data set's ``CLASSES`` is a plain text, which has as many entries as letters.
            ValueError: the numbers differ.
        """
        dataset, model = runner.data_loader.dataset, runner.model
        names = getattr(dataset, 'CLASSES', None)
        if names is None:
            runner.logger.warning(
                f'{type(dataset).__name__} has no CLASSES: whether num_classes of the model fits is not checked.'
            )
            return
        if isinstance(names, str):
            raise TypeError(
                f"CLASSES of {type(dataset).__name__} is the text {names!r}; for one class write ('{names}',)"
            )
        expected = {name: expected_num_classes(dataset, name) for name in head_num_classes(model)}
        wrong = {name: num for name, num in head_num_classes(model).items() if expected[name] not in (None, num)}
        if wrong:
            listed = ', '.join(f'{name} ({num})' for name, num in wrong.items())
            cures = dict.fromkeys(f'{_argument(name)}={expected[name]}' for name in wrong)
            raise ValueError(
                f'num_classes of {listed} does not fit the {len(names)} CLASSES of {type(dataset).__name__}; '
                f'set {", ".join(cures)} in the config'
            )

    def before_train_epoch(self, runner) -> None:
        """Check against the training data."""
        self._check_head(runner)

    def before_val_epoch(self, runner) -> None:
        """Check against the validation data."""
        self._check_head(runner)


def _argument(name: str) -> str:
    """The argument of a head that a count of :func:`head_num_classes` stands for."""
    return name.rpartition('.')[2] if name.endswith(PANOPTIC_COUNTS) else 'num_classes'
