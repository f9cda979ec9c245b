"""A COCO data set whose objects, beside their class, have another label, such as the domain they come from."""

from collections.abc import Sequence

import numpy as np

from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.registry import DATASETS


@DATASETS.register_module()
class MyCocoDataset(CocoDataset):
    """``CocoDataset`` with extra labels for ``LoadExtraAnnotations``.

    Args:
        extra_label: name of the attribute of images, and possibly of annotations, that holds the extra label; None:
            there is none.
        **kwargs: arguments of :class:`CocoDataset`.

    Raises:
        ValueError: (when annotations are read) some annotations of an image have the attribute and others have not, and
            the image has none to stand in.
    """

    def __init__(self, extra_label: str | None = None, **kwargs):
        self.extra_label = extra_label  # first: the parent's constructor may read annotations
        super().__init__(**kwargs)

    def _extra_fields(self, img_info: dict, objects: Sequence[dict]) -> dict:
        """``extra_label_name`` and, where annotations have it, ``extra_labels`` (n,), one for each box."""
        if self.extra_label is None:
            return {}
        fields: dict = dict(extra_label_name=self.extra_label)
        if any(self.extra_label in ann for ann in objects):
            labels = np.asarray([self._extra_label_of(ann, img_info) for ann in objects])
            # texts stay as they are: LoadExtraAnnotations(map_name_to_id=...) turns them into numbers
            fields['extra_labels'] = labels.astype(np.int64) if labels.dtype.kind in 'biu' else labels
        return fields

    def _extra_label_of(self, ann: dict, img_info: dict) -> int | str:
        """The annotation's own value, or else its image's, so that there is one for every box."""
        for source in (ann, img_info):
            if self.extra_label in source:
                return source[self.extra_label]
        raise ValueError(
            f'{self.ann_file}: annotation {ann.get("id")} has no {self.extra_label!r}, others of its image '
            f'({img_info["filename"]}) have; give it to all of them, or to the image'
        )
