"""Data sets made of data sets: joined, repeated, balanced by class, or with several images mixed into one.

``directives`` and ``from_img_info`` of a wrapper are those of :class:`mmdet.datasets.CustomDataset`, for images of all
data sets in it that do not have these directives already.
"""

import bisect
import collections
import copy
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.utils import print_log
from torch.utils.data import ConcatDataset as _ConcatDataset
from torch.utils.data import Dataset

from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.mixing.image_fields import add_directives
from mmdet.datasets.mixing.joined_classes import join_label_spaces
from mmdet.datasets.mixing.label_spaces import Rename, class_names
from mmdet.datasets.mixing.multi_image_mix import MultiImageMixDataset
from mmdet.datasets.mixing.sources import mark_source, source_names
from mmdet.datasets.registry import DATASETS

# Wrappers whose config holds one data set under the key ``dataset``.
WRAPPERS_OF_ONE = ('RepeatDataset', 'ClassBalancedDataset', 'MultiImageMixDataset')


def labels_in_image(dataset: Dataset, idx: int) -> set[int]:
    """The labels that occur in an image of a data set or of wrappers; of data sets of another kind the category ids.

    Category ids will not do: each of joined files has its own, and a file may have categories that are not trained.
    """
    if hasattr(dataset, '_labels_in_image'):
        return dataset._labels_in_image(idx)
    return set(dataset.get_cat_ids(idx))


@DATASETS.register_module()
class ConcatDataset(_ConcatDataset):
    """Data sets one after the other.

    Images carry the name of their data set in ``img_metas`` (``source``): its ``name``, else its number. In a config,
    ``classes`` and ``rename`` bring data sets with different categories together: :func:`build_dataset` hands them to
    the data sets, which match their categories by name.

    Args:
        datasets: at least one; without ``classes`` the classes are those of the first.
        separate_eval: evaluate each data set alone; else all results together, which needs data sets of one class that
            is not ``CocoDataset``.
        classes: common classes of data sets with different categories, names or a file with one on each line.
        rename: name of a category -> one of ``classes``, or None for a category that is not used; a data set's own
            ``rename`` goes before it.
        missing_classes: what a class means to a data set whose annotations do not know it: ``'unlabeled'``: it may be
            there all the same; its images then say which classes are annotated (docs/partial_labels.md);
            ``'annotated'``: it is not there. A dict says it by the data sets' names, ``'unlabeled'`` for the others.
        directives, from_img_info: of all images that do not say them already.

    Attributes:
        flag: aspect groups of all images, where the data sets have them (training).

    Raises:
        NotImplementedError: results of such data sets cannot be evaluated together.
        ValueError: two data sets have one name, no data set knows one of ``classes``, or a name is changed to none of
            them.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        separate_eval: bool = True,
        classes: str | Sequence[str] | None = None,
        rename: Rename | None = None,
        missing_classes: str | Mapping[str, str] = 'unlabeled',
        directives: Mapping[str, Any] | None = None,
        from_img_info: Sequence[str] | Mapping[str, str] = (),
    ):
        super().__init__(datasets)
        self.names = source_names(datasets)
        self.CLASSES = datasets[0].CLASSES
        add_directives(self, directives, from_img_info, replace=False)
        if classes is not None:
            self.CLASSES = class_names(classes)
            join_label_spaces(datasets, self.names, self.CLASSES, rename or {}, missing_classes)
        self.PALETTE = getattr(datasets[0], 'PALETTE', None)
        self.separate_eval = separate_eval
        if not separate_eval:
            self._check_joint_evaluation()
        if all(hasattr(dataset, 'flag') for dataset in datasets):
            self.flag = np.concatenate([dataset.flag for dataset in datasets])

    def _check_joint_evaluation(self) -> None:
        names = sorted({type(dataset).__name__ for dataset in self.datasets})
        if any(isinstance(dataset, CocoDataset) for dataset in self.datasets):
            raise NotImplementedError(
                f'separate_eval=False: results of {", ".join(names)} cannot be evaluated together, as COCO metrics '
                'need one annotation file; set separate_eval=True or merge the annotation files'
            )
        if len(names) > 1:
            raise NotImplementedError(
                f'separate_eval=False: data sets must be of one class, got {", ".join(names)}; set separate_eval=True'
            )

    def __getitem__(self, idx: int) -> Any:
        dataset, own_idx = self._locate(idx)
        number = bisect.bisect_right(self.cumulative_sizes, idx % len(self))
        return mark_source(dataset[own_idx], self.names[number])

    def _locate(self, idx: int) -> tuple[Dataset, int]:
        """The data set that holds an image, and the image's number in it."""
        if not -len(self) <= idx < len(self):
            raise IndexError(f'index {idx} is outside the {len(self)} images of the joined data sets')
        idx %= len(self)
        number = bisect.bisect_right(self.cumulative_sizes, idx)
        return self.datasets[number], idx - (self.cumulative_sizes[number - 1] if number else 0)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Category ids of the annotations of an image."""
        dataset, own_idx = self._locate(idx)
        return dataset.get_cat_ids(own_idx)

    def _labels_in_image(self, idx: int) -> set[int]:
        dataset, own_idx = self._locate(idx)
        return labels_in_image(dataset, own_idx)

    def get_ann_info(self, idx: int) -> dict:
        """Annotations of an image."""
        dataset, own_idx = self._locate(idx)
        return dataset.get_ann_info(own_idx)

    def update_dynamic_scale(self, dynamic_scale: tuple[int, int]) -> None:
        """Hand a size of images on to the data sets."""
        for dataset in self.datasets:
            dataset.update_dynamic_scale(dynamic_scale)

    def evaluate(self, results: Sequence[Any], logger=None, **kwargs) -> dict[str, Any]:
        """Evaluate the results of all the data sets.

        Args:
            results: one for each image, in order.
            logger: a logger, None (print) or ``'silent'``.
            **kwargs: handed to the data sets' ``evaluate``.

        Returns:
            With ``separate_eval`` the names of the metrics begin with the name of the data set, or with its number
            where it has none: ``real_bbox_mAP``, ``0_bbox_mAP``.

        Raises:
            ValueError: not one result for each image.
        """
        if len(results) != len(self):
            raise ValueError(f'ConcatDataset.evaluate: {len(results)} results for {len(self)} images')
        for dataset in self.datasets:
            if not hasattr(dataset, 'evaluate'):
                raise TypeError(f'{type(dataset).__name__} has no method evaluate')
        if not self.separate_eval:
            return self._evaluate_together(results, logger, **kwargs)
        metrics = OrderedDict()
        starts = [0, *self.cumulative_sizes[:-1]]
        for i, (start, end, dataset) in enumerate(zip(starts, self.cumulative_sizes, self.datasets)):
            source = self.names[i]
            print_log(f'\nEvaluating data set {source}: {getattr(dataset, "ann_file", type(dataset).__name__)}', logger)
            own = dataset.evaluate(results[start:end], logger=logger, **kwargs)
            metrics.update({f'{source}_{name}': value for name, value in own.items()})
        return metrics

    def _evaluate_together(self, results: Sequence[Any], logger, **kwargs) -> dict[str, Any]:
        # one data set of all the images, whose annotations still come from where they belong
        joint = copy.copy(self.datasets[0])
        joint.data_infos = [info for dataset in self.datasets for info in dataset.data_infos]
        joint.get_ann_info = self.get_ann_info
        return joint.evaluate(results, logger=logger, **kwargs)


@DATASETS.register_module()
class RepeatDataset:
    """A small data set, several times over, so that an epoch is long enough to be worth its start.

    Args:
        dataset: what is repeated.
        times: how often, >= 1.
        directives, from_img_info: of all images that do not say them already.

    Raises:
        ValueError: ``times`` is below 1.
    """

    def __init__(
        self,
        dataset: Dataset,
        times: int,
        directives: Mapping[str, Any] | None = None,
        from_img_info: Sequence[str] | Mapping[str, str] = (),
    ):
        if times < 1:
            raise ValueError(f'RepeatDataset: times must be at least 1, got {times}')
        self.dataset = dataset
        add_directives(self, directives, from_img_info, replace=False)
        self.times = times
        self.CLASSES = dataset.CLASSES
        self.PALETTE = getattr(dataset, 'PALETTE', None)
        if hasattr(dataset, 'flag'):
            self.flag = np.tile(dataset.flag, times)
        self._ori_len = len(dataset)

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[self._original(idx)]

    def _original(self, idx: int) -> int:
        if not -len(self) <= idx < len(self):
            raise IndexError(f'index {idx} is outside the {len(self)} images ({self.times} x {self._ori_len})')
        return idx % self._ori_len

    def get_cat_ids(self, idx: int) -> list[int]:
        """Category ids of the annotations of an image."""
        return self.dataset.get_cat_ids(self._original(idx))

    def _labels_in_image(self, idx: int) -> set[int]:
        return labels_in_image(self.dataset, self._original(idx))

    def get_ann_info(self, idx: int) -> dict:
        """Annotations of an image."""
        return self.dataset.get_ann_info(self._original(idx))

    def update_dynamic_scale(self, dynamic_scale: tuple[int, int]) -> None:
        """Hand a size of images on to the data set."""
        self.dataset.update_dynamic_scale(dynamic_scale)

    def __len__(self) -> int:
        return self.times * self._ori_len


@DATASETS.register_module()
class ClassBalancedDataset:
    """Repeats images of rare categories, as `LVIS <https://arxiv.org/abs/1908.03195>`_ does.

    1. f(c): fraction of the images that have category c; those that are not trained do not count.
    2. r(c) = max(1, sqrt(oversample_thr / f(c))): how often images of that category should come.
    3. r(image) = max of r(c) over the categories of the image, rounded up; 1 for an image without any.

    Args:
        dataset: what is balanced; has ``get_cat_ids``, or is made of data sets of this package.
        oversample_thr: fraction of images below which a category counts as rare, in [0, 1].
        filter_empty_gt: False: images without objects form a category of their own, and are repeated if they are rare.
        directives, from_img_info: of all images that do not say them already.
    """

    def __init__(
        self,
        dataset: Dataset,
        oversample_thr: float,
        filter_empty_gt: bool = True,
        directives: Mapping[str, Any] | None = None,
        from_img_info: Sequence[str] | Mapping[str, str] = (),
    ):
        self.dataset = dataset
        add_directives(self, directives, from_img_info, replace=False)
        self.oversample_thr = oversample_thr
        self.filter_empty_gt = filter_empty_gt
        self.CLASSES = dataset.CLASSES
        self.PALETTE = getattr(dataset, 'PALETTE', None)
        factors = self._get_repeat_factors(dataset, oversample_thr)
        self.repeat_indices = [i for i, factor in enumerate(factors) for _ in range(math.ceil(factor))]
        if hasattr(dataset, 'flag'):
            self.flag = np.asarray(dataset.flag)[self.repeat_indices].astype(np.uint8)

    def _get_repeat_factors(self, dataset: Dataset, repeat_thr: float) -> list[float]:
        """r(image) for every image, before rounding."""
        categories = [self._categories(dataset, i) for i in range(len(dataset))]
        counts = collections.Counter(cat for cats in categories for cat in cats)
        factors = {cat: max(1.0, math.sqrt(repeat_thr / (count / len(categories)))) for cat, count in counts.items()}
        return [max((factors[cat] for cat in cats), default=1) for cats in categories]

    def _categories(self, dataset: Dataset, idx: int) -> set[int | None]:
        """Categories of an image; ``{None}`` stands for "no objects" where that counts as a category."""
        cats = labels_in_image(dataset, idx)
        return cats if cats or self.filter_empty_gt else {None}

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[self.repeat_indices[idx]]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Category ids of the annotations of an image."""
        return self.dataset.get_cat_ids(self.repeat_indices[idx])

    def _labels_in_image(self, idx: int) -> set[int]:
        return labels_in_image(self.dataset, self.repeat_indices[idx])

    def get_ann_info(self, idx: int) -> dict:
        """Annotations of an image."""
        return self.dataset.get_ann_info(self.repeat_indices[idx])

    def update_dynamic_scale(self, dynamic_scale: tuple[int, int]) -> None:
        """Hand a size of images on to the data set."""
        self.dataset.update_dynamic_scale(dynamic_scale)

    def __len__(self) -> int:
        return len(self.repeat_indices)


__all__ = [
    'WRAPPERS_OF_ONE',
    'ClassBalancedDataset',
    'ConcatDataset',
    'MultiImageMixDataset',
    'RepeatDataset',
    'labels_in_image',
]
