"""The sources of a mixture: the data sets that a ``ConcatDataset`` joins, their names, and what their images carry."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from mmdet.datasets.detection_dataset import DetectionDataset
from mmdet.datasets.pipelines.custom_formatting import each_img_metas

# the entry of ``img_metas`` with the name of the image's source
SOURCE = 'source'


class Sources(NamedTuple):
    """The sources of a data set of n images."""

    names: list[str]
    owner: np.ndarray  # (n,) number of each image's source


def innermost(dataset: Dataset) -> Dataset:
    """What a chain of wrappers of one holds."""
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset


def leaves_of(dataset: Dataset) -> Iterator[Dataset]:
    """All data sets that wrap no other."""
    dataset = innermost(dataset)
    if not hasattr(dataset, 'datasets'):
        yield dataset
    for part in getattr(dataset, 'datasets', ()):
        yield from leaves_of(part)


def image_path(leaf: Any, index: int) -> str:
    """The file of an image of a data set that wraps no other; of several channels' files the first."""
    name = leaf.data_infos[index]['filename']
    name = name[0] if isinstance(name, (list, tuple)) else name
    prefix = getattr(leaf, 'img_prefix', None)
    return str(name) if not prefix or '://' in str(name) else str(Path(prefix, name))


def image_files(dataset: Any) -> dict[str, str]:
    """File of every image of a data set -> its name in the annotations; data sets of a user's own kind are left out."""
    leaves = [leaf for leaf in leaves_of(dataset) if hasattr(leaf, 'data_infos')]
    return {
        image_path(leaf, index): str(info['filename'])
        for leaf in leaves
        for index, info in enumerate(leaf.data_infos)
        if 'filename' in info
    }


def own_name(dataset: Dataset) -> str | None:
    """The ``name`` of a data set, or of the one that it wraps."""
    while getattr(dataset, 'name', None) is None and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return getattr(dataset, 'name', None)


def source_names(datasets: Sequence[Dataset]) -> list[str]:
    """The data sets' names; one without is called by its number.

    Raises:
        ValueError: two have one name.
    """
    names = [own_name(dataset) or str(i) for i, dataset in enumerate(datasets)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f'{names.count(twice[0])} of the joined data sets have the name {twice[0]!r}; give each its own'
        )
    return names


def find_sources(dataset: Dataset | DetectionDataset) -> Sources:
    """The parts of the outermost ``ConcatDataset`` in a data set with its wrappers; without one, all is one source."""
    if hasattr(dataset, 'datasets'):
        return Sources(
            source_names(dataset.datasets),
            np.repeat(np.arange(len(dataset.datasets)), [len(d) for d in dataset.datasets]),
        )
    if hasattr(dataset, 'dataset'):
        inner = find_sources(dataset.dataset)
        chosen = getattr(dataset, 'repeat_indices', None)
        rows = (
            np.arange(len(dataset)) % max(len(inner.owner), 1) if chosen is None else np.asarray(chosen, dtype=np.int64)
        )
        return Sources(inner.names, inner.owner[rows])
    return Sources([own_name(dataset) or '0'], np.zeros(len(dataset), dtype=np.int64))


def mark_source(data: Any, name: str) -> Any:
    """Write a source's name into the ``img_metas`` of an image, if it has any and they do not name one already."""
    if isinstance(data, dict) and 'img_metas' in data:
        for metas in each_img_metas(data['img_metas']):
            metas.setdefault(SOURCE, name)
    return data
