"""Loading a second label of images and objects, such as their domain."""

from typing import Any

import numpy as np

from mmdet.datasets.registry import PIPELINES
from mmdet.utils.registry import did_you_mean


@PIPELINES.register_module()
class LoadExtraAnnotations:
    """Load a second label; goes after ``LoadAnnotations``.

    ``ann_info['extra_label_name']`` is the name of an attribute, and ``img_info[<name>]`` the image's value. Every
    object gets that value, or its own one of ``ann_info['extra_labels']``, a list with one value an object.

    Sets ``gt_extra_labels`` (n,) of the kind of ``gt_labels``; ``gt_extra_label_per_image`` and ``<name>``, both the
    image's value; ``extra_label_name``. Steps that leave out objects later keep ``gt_extra_labels`` in line.

    Args:
        skip_on_error: leave the results as they are where there is no name, or the image lacks the attribute.
        map_name_to_id: value -> number, used for every value.

    Raises:
        ValueError: (when called) no name is given; a value is not in ``map_name_to_id`` or no number; there are not
            as many values as objects.
        AssertionError: (when called) the image lacks the attribute.
    """

    def __init__(self, skip_on_error: bool = False, map_name_to_id: dict[Any, int] | None = None) -> None:
        self.skip_on_error = skip_on_error
        self.map_name_to_id = map_name_to_id

    def __call__(self, results: dict) -> dict:
        img_info, ann_info = results['img_info'], results['ann_info']
        name = ann_info.get('extra_label_name')
        if name is None or name not in img_info:
            if self.skip_on_error:
                return results
            self._raise_missing(name, img_info)
        value = self._to_id(img_info[name], name)
        results['gt_extra_labels'] = self._object_labels(results, value, name)
        results['gt_extra_label_per_image'] = value
        results[name] = value
        results['extra_label_name'] = name
        return results

    def _object_labels(self, results: dict, image_value: int, name: str) -> np.ndarray:
        """(n,) the objects' labels, in the order of ``gt_labels``."""
        labels = results.get('gt_labels', results['ann_info']['labels'])
        values = results['ann_info'].get('extra_labels')
        if values is None:
            values = [image_value] * len(labels)
        else:
            values = [self._to_id(value, name) for value in values]
        if len(values) != len(labels):
            raise ValueError(
                f'LoadExtraAnnotations: {len(values)} values of {name!r} for {len(labels)} objects; every annotation '
                'needs the attribute, and this step must come before those that leave out objects'
            )
        return np.array(values, dtype=labels.dtype)

    def _to_id(self, value: Any, name: str) -> Any:
        """The number of one value."""
        value = value.item() if isinstance(value, np.generic) else value
        if self.map_name_to_id is not None:
            if value not in self.map_name_to_id:
                raise ValueError(
                    f'LoadExtraAnnotations: {name}={value!r} is not in map_name_to_id'
                    f'{did_you_mean(str(value), self.map_name_to_id)} Known: {list(self.map_name_to_id)}'
                )
            return self.map_name_to_id[value]
        if isinstance(value, str):
            raise ValueError(f'LoadExtraAnnotations: {name}={value!r} is a text; give map_name_to_id=dict(name=number)')
        return value

    @staticmethod
    def _raise_missing(name: str | None, img_info: dict) -> None:
        if name is None:
            raise ValueError(
                "LoadExtraAnnotations: ann_info has no 'extra_label_name'; use a data set that gives it, such as "
                'MyCocoDataset(extra_label=<attribute>), or skip_on_error=True'
            )
        raise AssertionError(
            f'LoadExtraAnnotations: image {img_info.get("filename", "")!r} has no attribute {name!r}'
            f'{did_you_mean(str(name), img_info)} It has: {", ".join(map(str, img_info))}'
        )

    def __repr__(self) -> str:
        return type(self).__name__
