"""Steps at the end of a pipeline: a forgiving ``Collect``, and fields for ``img_metas``."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mmcv.parallel import DataContainer as DC

from mmdet.core.directives import (
    CLASS_KEYS,
    LABELED_CLASSES,
    check_directive,
    check_directive_name,
    resolve_classes,
    resolve_file_classes,
)
from mmdet.core.directives.merging import check_directives
from mmdet.datasets.pipelines.compose import Step, step_name
from mmdet.datasets.pipelines.formatting import META_KEYS, Collect, to_tensor
from mmdet.datasets.pipelines.image_directives import DIRECTIVES
from mmdet.datasets.registry import PIPELINES
from mmdet.utils.registry import did_you_mean

BUILT_IN_STEPS = 'mmdet.datasets.pipelines.'


@PIPELINES.register_module()
class AddFieldToImgMetas:
    """Put values into the ``img_metas`` of every image that comes through this pipeline.

    This is how a pipeline gives its images training directives, such as ``rpn_head.loss_weight`` or
    ``ignore_negatives`` (see :mod:`mmdet.core.directives`); other fields may have any value. The argument
    ``directives`` of a data set does it in one line. The step goes after ``Collect`` (``RobustCollect``, or a
    ``MultiScaleFlipAug`` that ends with them); directives of images that are mixed need ``AddDirectives``. Every image
    gets a copy of its own of a list or dict.

    Classes that are annotated or not (``labeled_classes``, ``unlabeled_classes``) may be names: the data set that the
    pipeline belongs to turns them into labels.

    Args:
        fields: names.
        values: one value a name.
        replace: replace the value of a field that is there already; False keeps that.
        from_img_info: names of fields whose value is in the image's own entry (``images[i]`` of a COCO file); a dict
            has the names of fields, and those that their values have in the entry. Numbers of classes are category ids
            of the file there.
        default: value of a field of ``from_img_info`` for images whose entry does not have it; a dict has one value for
            each field. None, and a field that is not in the dict: such an image is an error.

    Raises:
        TypeError: ``fields`` or ``values`` is no list, or a name is no text.
        ValueError: a training directive with an impossible value, or a name that nearly is a directive's; in a pipeline
            also: more names than values or the other way round, or a place before ``Collect``.
        AssertionError: (when called) there are no ``img_metas``.
        KeyError: (when called) the image's entry lacks a field that has no default.
    """

    def __init__(
        self,
        fields: Sequence[str] = (),
        values: Sequence[Any] = (),
        replace: bool = True,
        from_img_info: Sequence[str] | Mapping[str, str] = (),
        default: Any = None,
    ) -> None:
        check_names('fields', fields)
        check_names('values', values, entries_too=False)
        check_names('from_img_info', list(from_img_info) if isinstance(from_img_info, Mapping) else from_img_info)
        self.fields = list(fields)
        self.values = copy.deepcopy(list(values))
        self.replace = replace
        for field, value in zip(self.fields, self.values):
            check_directive(field, value)
        info_keys = from_img_info if isinstance(from_img_info, Mapping) else dict(zip(from_img_info, from_img_info))
        self.info_keys: dict[str, str] = dict(info_keys)
        self.defaults = defaults_of(self.info_keys, default)
        self.category_labels: Mapping[Any, int] | None = None
        self.classes: Sequence[str] | None = None
        for field in self.info_keys:
            check_directive_name(field)

    @property
    def takes_img_info(self) -> bool:
        """Whether a pipeline must hand the image's entry to this step."""
        return bool(self.info_keys)

    def bind_classes(self, classes: Sequence[str], category_labels: Mapping[Any, int] | None = None) -> None:
        """Turn names of classes into labels; see :meth:`Compose.bind_classes`.

        Raises:
            ValueError: a name that is no class of the data set.
        """
        self.classes, self.category_labels = classes, category_labels
        for i, field in enumerate(self.fields[: len(self.values)]):
            if field in CLASS_KEYS:
                self.values[i] = resolve_classes(field, self.values[i], classes)
        for field in self.defaults.keys() & set(CLASS_KEYS):
            self.defaults[field] = resolve_classes(field, self.defaults[field], classes)

    def fields_of(self, img_info: Mapping[str, Any] | None) -> dict[str, Any]:
        """The fields of an image with that entry, and their values.

        Raises:
            KeyError: the entry lacks a field that has no default, or there is no entry.
            ValueError: a directive of the entry has an impossible value.
        """
        found = dict(zip(self.fields, self.values))
        for field, key in self.info_keys.items():
            if img_info is not None and key in img_info:
                found[field] = self._checked(field, img_info[key])
            elif field in self.defaults:
                found[field] = self.defaults[field]
            else:
                entry = f'has {sorted(map(str, img_info))}' if img_info is not None else 'is not known'
                raise KeyError(
                    f'AddFieldToImgMetas: the image has no {key!r} in its entry and there is no default for it; the '
                    f'entry {entry}'
                )
        return found

    def _checked(self, field: str, value: Any) -> Any:
        """A value of an image's entry, with labels for classes."""
        check_directive(field, value)
        if field not in CLASS_KEYS or self.classes is None:
            return value
        of_category = None if self.category_labels is None else self.category_labels.get
        return resolve_file_classes(field, value, self.classes, of_category)

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

    def __call__(self, results: dict, img_info: Mapping[str, Any] | None = None) -> dict:
        if 'img_metas' not in results:
            raise AssertionError(
                'AddFieldToImgMetas: there are no img_metas; put this step after Collect or RobustCollect. '
                f'There is: {", ".join(map(str, results))}'
            )
        found = self.fields_of(img_info)
        for metas in each_img_metas(results['img_metas']):
            for field, value in found.items():
                if self.replace or field not in metas:
                    metas[field] = copy.deepcopy(value)
        return results

    def __repr__(self) -> str:
        info = f', from_img_info={self.info_keys}, default={self.defaults}' if self.info_keys else ''
        return f'{type(self).__name__}(fields={self.fields}, values={self.values}, replace={self.replace}{info})'


@PIPELINES.register_module()
class AddDirectives(AddFieldToImgMetas):
    """Give every image that comes through this pipeline training directives, at any place of it.

    The argument ``directives`` of a data set adds this step at the end of its pipeline. After ``Collect`` it writes
    into ``img_metas`` as ``AddFieldToImgMetas`` does; before, the directives travel with the image, through steps that
    mix it with others and merge their directives.

    Args:
        directives: key -> value, such as ``{'rpn_head.loss_weight': 0.5}`` (see :mod:`mmdet.core.directives`); other
            fields may have any value, but images whose values differ cannot be merged.
        from_img_info: as of ``AddFieldToImgMetas``; the value that ``directives`` has for such a key is that of images
            whose entry does not have it.
        replace: replace the value of a directive that is there already; False keeps that.

    Raises:
        TypeError: ``directives`` is no dict, or ``from_img_info`` neither a list nor a dict.
        ValueError: a directive with an impossible value, or a name that nearly is a directive's.
    """

    def __init__(
        self,
        directives: Mapping[str, Any] = MappingProxyType({}),
        from_img_info: Sequence[str] | Mapping[str, str] = (),
        replace: bool = True,
    ) -> None:
        directives = check_directives(directives)
        constant = {key: value for key, value in directives.items() if key not in from_img_info}
        defaults = {key: value for key, value in directives.items() if key in from_img_info}
        super().__init__(list(constant), list(constant.values()), replace, from_img_info, defaults)

    def check_pipeline(self, previous_steps: list[Step]) -> None:
        """Any place will do."""

    def __call__(self, results: dict, img_info: Mapping[str, Any] | None = None) -> dict:
        if 'img_metas' in results:
            return super().__call__(results, img_info)
        new, old = copy.deepcopy(self.fields_of(img_info)), results.get(DIRECTIVES, {})
        results[DIRECTIVES] = {**old, **new} if self.replace else {**new, **old}
        return results

    def __repr__(self) -> str:
        directives = {**dict(zip(self.fields, self.values)), **self.defaults}
        info = f', from_img_info={self.info_keys}' if self.info_keys else ''
        return f'{type(self).__name__}(directives={directives}{info})'


def states_annotated(classes: Sequence[str]) -> AddDirectives:
    """A step that says, of images that do not say it themselves, which classes they have annotated."""
    return AddDirectives({LABELED_CLASSES: classes}, replace=False)


def check_names(argument: str, entries: Any, entries_too: bool = True) -> None:
    """Check that an argument is a list, and that its entries are texts.

    Raises:
        TypeError: it is not, or they are not.
    """
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        raise TypeError(f'AddFieldToImgMetas: {argument} must be a list, got {entries!r}')
    for entry in entries if entries_too else ():
        if not isinstance(entry, str):
            raise TypeError(f'AddFieldToImgMetas: {argument} must be texts, got {entry!r} ({type(entry).__name__})')


def defaults_of(fields: Mapping[str, str], default: Any) -> dict[str, Any]:
    """The default of each field that has one.

    Raises:
        ValueError: a default of another field, or an impossible one.
    """
    if default is None:
        return {}
    defaults = dict(default) if isinstance(default, Mapping) else dict.fromkeys(fields, default)
    for field, value in defaults.items():
        if field not in fields:
            raise ValueError(
                f'AddFieldToImgMetas: default has {field!r}, which from_img_info does not read'
                f'{did_you_mean(field, fields)} It reads: {", ".join(fields)}'
            )
        check_directive(field, value)
    return copy.deepcopy(defaults)


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
