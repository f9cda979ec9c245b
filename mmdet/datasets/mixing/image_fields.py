"""The fields that a data set's pipeline adds to its images, without running it."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch.utils.data import Dataset

from mmdet.core.directives import check_one_class_key
from mmdet.datasets.pipelines.custom_formatting import AddFieldToImgMetas
from mmdet.datasets.pipelines.image_directives import AddDirectives

FieldStep = AddFieldToImgMetas | AddDirectives


def directive_steps(dataset: Dataset) -> list[FieldStep]:
    """The steps of a data set's pipeline that add fields."""
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    return [step for step in steps if isinstance(step, FieldStep)]


def fields_of_image(steps: Iterable[FieldStep], img_info: Mapping[str, Any] | None) -> dict[str, Any]:
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
