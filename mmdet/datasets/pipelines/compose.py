"""A pipeline: steps one after the other."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmdet.datasets.registry import PIPELINES
from mmdet.utils.registry import build_from_cfg

Step = Callable[[dict], 'dict | None']


@PIPELINES.register_module()
class Compose:
    """Steps that are called one after the other.

    A step takes and gives a dict of what is known of one image; None means that the image cannot be used, and ends the
    pipeline. A step may have a method ``check_pipeline(previous_steps)``; it is called once, when the pipeline is
    built, and raises ValueError where the step cannot work at this place. A step whose ``takes_img_info`` is true is
    called with ``img_info=``, the image's entry that the pipeline began with, though other steps may have dropped it.
    A step may have a method ``bind_classes(classes, category_labels)``; see :meth:`bind_classes`.

    Args:
        transforms: configs of steps, or callables.

    Raises:
        TypeError: an entry is neither a config nor a callable.
        ValueError: a step does not fit its place.
    """

    def __init__(self, transforms: Sequence[dict | Step]) -> None:
        self.transforms: list[Step] = []
        for entry in transforms:
            step = build_step(entry)
            check_place = getattr(step, 'check_pipeline', None)
            if check_place is not None:
                check_place(list(self.transforms))
            self.transforms.append(step)

    def __call__(self, data: dict) -> dict | None:
        """Run all steps.

        Returns:
            What the last one gave; None when a step gave None.

        Raises:
            Exception: what a step raises, with the step and the image file added to its message.
        """
        image = describe_image(data)
        img_info = data.get('img_info') if isinstance(data, dict) else None
        for number, step in enumerate(self.transforms, start=1):
            more = dict(img_info=img_info) if getattr(step, 'takes_img_info', False) else {}
            try:
                made = step(data, **more)
            except Exception as error:
                add_to_message(error, f'in pipeline step {number} ({step_name(step)}), image {image}')
                raise
            if made is None:
                return None
            data = made
        return data

    def bind_classes(self, classes: Sequence[str], category_labels: Mapping[Any, int] | None = None) -> None:
        """Give the steps that ask for it the classes of the data set that the pipeline belongs to.

        Args:
            classes: names; label i is the i-th.
            category_labels: category id of the annotation file -> label; None: the file has labels.
        """
        for step in self.transforms:
            bind = getattr(step, 'bind_classes', None)
            if bind is not None:
                bind(classes, category_labels)

    def __repr__(self) -> str:
        lines = ['    ' + repr(step).replace('\n', '\n    ') for step in self.transforms]
        return '\n'.join([f'{type(self).__name__}(', *lines, ')'])


def build_step(entry: dict | Step) -> Step:
    """One step of a pipeline from its config; a callable is given back as it is.

    Raises:
        TypeError: neither a config nor a callable.
    """
    if isinstance(entry, dict):
        return build_from_cfg(entry, PIPELINES)
    if not callable(entry):
        raise TypeError(f'a pipeline step must be dict(type=...) or a callable, got {type(entry).__name__}: {entry!r}')
    return entry


def step_name(step: Step) -> str:
    """Name of a step for messages."""
    return getattr(step, '__name__', type(step).__name__)


def describe_image(data: Any) -> str:
    """File name of the image that a pipeline is called with, as far as it is known."""
    info = data if isinstance(data, dict) else {}
    for source in (info, info.get('img_info') or {}):
        for key in ('filename', 'file_name', 'ori_filename'):
            if isinstance(source.get(key), str):
                return source[key]
    return '(no file name)'


def add_to_message(error: Exception, context: str) -> None:
    """Add where it happened to an error, without changing its kind."""
    if error.args and isinstance(error.args[0], str):
        error.args = (f'{error.args[0]} [{context}]', *error.args[1:])
    elif not error.args:
        error.args = (f'[{context}]',)
    elif hasattr(error, 'add_note'):  # Python >= 3.11; first arguments that are no text keep their meaning
        error.add_note(context)
