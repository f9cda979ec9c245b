"""Samples of a data set some of whose images cannot be used."""

from collections.abc import Callable
from typing import Any

from mmdet.datasets.audit.broken_images import BrokenImageError, BrokenImages
from mmdet.datasets.audit.image_check import fault_of_file, find_loader

# So many images may turn out unusable, one after the other, before that is an error.
MAX_REFETCH = 1000


def naming_broken_file(dataset: Any, prepare: Callable[[int], Any], idx: int) -> Any:
    """``prepare(idx)``; if it fails and the image file is the reason, the error says so.

    Args:
        dataset: with ``pipeline``, ``data_infos``, ``img_prefix``, ``ann_file`` and ``test_mode``.
        prepare: runs the pipeline.
        idx: number of the image.

    Raises:
        BrokenImageError: the file cannot be read.
    """
    try:
        return prepare(idx)
    except Exception as err:
        info, loader = dataset.data_infos[idx], find_loader(dataset.pipeline)
        # any step may have stumbled over what the file gave, so the file is looked at only now
        reason = err if isinstance(err, BrokenImageError) else fault_of_file(loader, info, dataset.img_prefix)
        if reason is None:
            raise
        hint = 'skip_broken=True in the data set goes on without such images'
        command = ' (tools/test.py --skip-broken)' if dataset.test_mode else ''
        raise BrokenImageError(f'{reason} (image {idx} of {dataset.ann_file}); {hint}{command}') from err


def first_usable(dataset: Any, idx: int, broken: BrokenImages | None) -> Any:
    """The training sample of an image, or of another one of its aspect group where that cannot be used.

    Args:
        dataset: a ``CustomDataset``.
        idx: number of the image.
        broken: gets the images that cannot be read; None: the first of them is an error.

    Raises:
        BrokenImageError: an image cannot be read.
        RuntimeError: no image can be used.
    """
    first = idx
    for _ in range(MAX_REFETCH):
        data = _sample_or_none(dataset, idx, broken)
        if data is not None:
            return data
        idx = dataset._rand_another(idx)
    raise RuntimeError(
        f'{type(dataset).__name__}: {MAX_REFETCH} images in turn, from {dataset.data_infos[first]["filename"]} on, '
        f'were not usable (broken files: {dataset.num_broken}); does the pipeline leave any boxes? {dataset.pipeline}'
    )


def _sample_or_none(dataset: Any, idx: int, broken: BrokenImages | None) -> Any:
    if broken is not None and idx in broken:
        return None
    try:
        return naming_broken_file(dataset, dataset.prepare_train_img, idx)
    except BrokenImageError as err:
        if broken is None:
            raise
        broken.add(idx, err)
        return None
