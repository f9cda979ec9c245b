"""Steps at the end of a pipeline: a forgiving ``Collect``, and fields for ``img_metas``."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from mmcv.parallel import DataContainer as DC

from mmdet.core.directives import check_directive

from ..builder import PIPELINES
from .compose import Step, step_name
from .formatting import META_KEYS, Collect, to_tensor
from .image_directives import DIRECTIVES

BUILT_IN_STEPS = 'mmdet.datasets.pipelines.'


@PIPELINES.register_module()
class AddFieldToImgMetas:
    """Put fixed values into the ``img_metas`` of every image that comes through this pipeline.

    This is how a data set gets its training directives, such as ``rpn_head.loss_weight`` or ``ignore_negatives`` (see
    :mod:`mmdet.core.directives`); other fields may have any value. The step goes after ``Collect`` (``RobustCollect``,
    or a ``MultiScaleFlipAug`` that ends with them); directives of images that are mixed need ``AddDirectives``. Every
    image gets a copy of its own of a list or dict.

    Args:
        fields: names.
        values: one value a name.
        replace: replace the value of a field that is there already; False keeps that.

    Raises:
        TypeError: ``fields`` or ``values`` is no list, or a name is no text.
        ValueError: a training directive with an impossible value, or a name that nearly is a directive's; in a pipeline
            also: more names than values or the other way round, or a place before ``Collect``.
        AssertionError: (when called) there are no ``img_metas``.
    """

    def __init__(self, fields: Sequence[str] = (), values: Sequence[Any] = (), replace: bool = True) -> None:
        for name, entries in (('fields', fields), ('values', values)):
            if isinstance(entries, str) or not isinstance(entries, Sequence):
                raise TypeError(f'AddFieldToImgMetas: {name} must be a list, got {entries!r}')
        for field in fields:
            if not isinstance(field, str):
                raise TypeError(f'AddFieldToImgMetas: fields must be texts, got {field!r} ({type(field).__name__})')
        self.fields = list(fields)
        self.values = copy.deepcopy(list(values))
        self.replace = replace
        for field, value in zip(self.fields, self.values):
            check_directive(field, value)

    def check_pipeline(self, previous_steps: list[Step]) -> None:
        """Check that names and values go together and that a step before makes ``img_metas``.

        Raises:
            ValueError: they do not.
        """
        if len(self.fields) != len(self.values):
            raise ValueError(
                f'AddFieldToImgMetas: {len(self.fields)} fields ({self.fields}) but {len(self.values)} values '
                f'({self.values}); each field needs one value'
            )
        # of a step that is not ours nobody knows what it makes; such a pipeline is checked when it runs
        all_known = all(type(step).__module__.startswith(BUILT_IN_STEPS) for step in previous_steps)
        if all_known and not any(makes_img_metas(step) for step in previous_steps):
            names = ', '.join(map(step_name, previous_steps)) or 'none'
            raise ValueError(f'AddFieldToImgMetas must come after Collect or RobustCollect; steps before it: {names}')

    def __call__(self, results: dict) -> dict:
        if 'img_metas' not in results:
            raise AssertionError(
                'AddFieldToImgMetas: there are no img_metas; put this step after Collect or RobustCollect. '
                f'There is: {", ".join(map(str, results))}'
            )
        for metas in each_img_metas(results['img_metas']):
            for field, value in zip(self.fields, self.values):
                if self.replace or field not in metas:
                    metas[field] = copy.deepcopy(value)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(fields={self.fields}, values={self.values}, replace={self.replace})'


def makes_img_metas(step: Step) -> bool:
    """Whether one of our steps, or one inside it, is a kind of ``Collect``."""
    inner = getattr(step, 'transforms', None)
    inner_steps = getattr(inner, 'transforms', inner)  # MultiScaleFlipAug holds a Compose, Compose a list
    if isinstance(inner_steps, list):
        return any(makes_img_metas(inner_step) for inner_step in inner_steps)
    return isinstance(step, Collect)


def each_img_metas(img_metas: DC | list[DC]) -> Iterator[dict]:
    """The dicts in ``img_metas``: one, or after test-time augmentation one for each version of the image."""
    for container in img_metas if isinstance(img_metas, list) else [img_metas]:
        yield container.data


@PIPELINES.register_module()
class RobustCollect(Collect):
    """As ``Collect``, but names that no step has set are left out.

    Args:
        keys: names of the values to keep.
        meta_keys: names of the values that go into ``img_metas``.
    """

    def __init__(self, keys: Sequence[str], meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(keys, meta_keys)

    def __call__(self, results: dict) -> dict:
        metas = {key: results[key] for key in self.meta_keys if key in results} | results.get(DIRECTIVES, {})
        return dict(img_metas=DC(metas, cpu_only=True), **{key: results[key] for key in self.keys if key in results})


@PIPELINES.register_module()
class ExtraFormatBundle:
    """Put further values, as far as they are there, into data containers as tensors, one for each image.

    Args:
        key_names: names of the values.
    """

    def __init__(self, key_names: Sequence[str] = ('gt_extra_labels',)) -> None:
        self.key_names = list(key_names)

    def __call__(self, results: dict) -> dict:
        for key in self.key_names:
            if key in results:
                results[key] = DC(to_tensor(results[key]))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(key_names={self.key_names})'
