"""The fields that a data set's pipeline adds to its images, without running it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset

from mmdet.core.directives import check_one_class_key
from mmdet.datasets.mixing.sources import leaves_of
from mmdet.datasets.pipelines.custom_formatting import AddDirectives, AddFieldToImgMetas


def directive_steps(dataset: Dataset) -> list[AddFieldToImgMetas]:
    """The steps of a data set's pipeline that add fields, that of its argument ``directives`` among them."""
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    return [step for step in steps if isinstance(step, AddFieldToImgMetas)]


def append_step(dataset: Dataset, step: AddFieldToImgMetas) -> None:
    """Let a step follow those of a data set's pipeline, with the labels of the data set's classes for their names.

    Raises:
        TypeError: the data set has no pipeline.
        ValueError: a name that is no class of the data set.
    """
    if not hasattr(getattr(dataset, 'pipeline', None), 'transforms'):
        raise TypeError(
            f'{type(dataset).__name__} has no pipeline of steps that could give its images {step}; add them to '
            'img_metas in the data set itself'
        )
    if dataset.CLASSES is not None:
        labels = dataset._category_labels() if hasattr(dataset, '_category_labels') else None
        step.bind_classes(dataset.CLASSES, labels)
    dataset.pipeline.transforms.append(step)


def add_directives(
    dataset: Dataset,
    directives: Mapping[str, Any] | None,
    from_img_info: Sequence[str] | Mapping[str, str] = (),
    replace: bool = True,
) -> None:
    """Let the images of a data set have directives, by a step behind those of its pipeline; see ``AddDirectives``.

    Args:
        dataset: with wrappers or without; the step goes into the pipeline of each data set that wraps no other.
        directives: key -> value; None: there are none.
        from_img_info: directives that are read from the image's own entry.
        replace: False keeps what images say already.

    Raises:
        TypeError, ValueError: see ``AddDirectives``.
    """
    if directives is not None or from_img_info:
        for leaf in leaves_of(dataset):
            append_step(leaf, AddDirectives(directives or {}, from_img_info, replace))


def fields_of_image(steps: Iterable[AddFieldToImgMetas], img_info: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields that the steps give an image with that entry.

    Raises:
        KeyError, ValueError: its entry lacks a field, or has an impossible value.
    """
    fields: dict[str, Any] = {}
    for step in steps:
        new = step.fields_of(img_info)
        fields = {**fields, **new} if step.replace else {**new, **fields}
    check_one_class_key(fields)
    return fields
