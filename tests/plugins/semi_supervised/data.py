"""Pipelines with branches, joined data sets, and a sampler that draws from each of them."""

import numpy as np
from mmcv.parallel import DataContainer
from torch.utils.data import Sampler

from mmdet.datasets import DATASETS, PIPELINES, ConcatDataset, build_dataset
from mmdet.datasets.pipelines import Compose


@PIPELINES.register_module()
class MarkTag:
    def __init__(self, tag):
        self.tag = tag

    def __call__(self, results):
        results['tag'] = self.tag
        return results


@PIPELINES.register_module()
class MultiBranch:
    """One image through several pipelines; the loader puts all versions into one batch."""

    def __init__(self, **branches):
        self.branches = {name: Compose(steps) for name, steps in branches.items()}

    def __call__(self, results):
        versions = [branch(dict(results)) for branch in self.branches.values()]
        return None if any(version is None for version in versions) else versions


@PIPELINES.register_module()
class NoBoxes:
    """An unlabelled image, whatever its file says."""

    def __call__(self, results):
        results['gt_bboxes'] = np.zeros((0, 4), np.float32)
        results['gt_labels'] = np.zeros(0, np.int64)
        return results


@DATASETS.register_module()
class LabelledAndNot(ConcatDataset):
    def __init__(self, sup, unsup, **kwargs):
        super().__init__([build_dataset(sup), build_dataset(unsup)], **kwargs)

    @property
    def sup(self):
        return self.datasets[0]


class BySource(Sampler):
    """``by_source[i]`` images of data set i in each batch, endlessly shuffled."""

    def __init__(self, dataset, by_source, batches, seed=0):
        super().__init__()
        self.ends = np.cumsum([0, *map(len, dataset.datasets)])
        self.by_source, self.batches = by_source, batches
        self.rng = np.random.RandomState(seed)

    def __len__(self):
        return self.batches

    def __iter__(self):
        for _ in range(self.batches):
            yield [
                int(i)
                for source, count in enumerate(self.by_source)
                for i in self.rng.randint(self.ends[source], self.ends[source + 1], count)
            ]


def flatten(batch):
    """Entries of pipelines with branches as entries of their own, with the same keys."""
    flat = [item for entry in batch for item in (entry if isinstance(entry, list) else [entry])]
    assert all(isinstance(item['img_metas'], DataContainer) for item in flat)
    return flat
