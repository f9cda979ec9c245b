"""A data set whose images are mixed of several: Mosaic, MixUp, CopyPaste."""

import collections
import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset

from mmdet.datasets.mixing.image_fields import add_directives
from mmdet.datasets.pipelines.transforms.resize import set_scale
from mmdet.datasets.registry import DATASETS, PIPELINES
from mmdet.utils.registry import build_from_cfg


@DATASETS.register_module()
class MultiImageMixDataset:
    """Runs steps that mix several images (Mosaic, MixUp, CopyPaste) over a data set.

    A step that needs more images has the method ``get_indexes(dataset)``; it finds them under ``mix_results``. What
    images say of their training by ``AddDirectives`` is merged with them.

    Args:
        dataset: where the images come from, loaded by its own pipeline.
        pipeline: configs of the steps.
        dynamic_scale: no longer there; must be None.
        skip_type_keys: types of steps that are left out; may be changed during training.
        max_refetch: how often a step may give None (or find an unusable image) before this is an error.
        directives, from_img_info: of all images that do not say them already.

    Raises:
        TypeError: a step is no config.
        RuntimeError: ``dynamic_scale`` is given.
    """

    def __init__(
        self,
        dataset: Dataset,
        pipeline: Sequence[dict],
        dynamic_scale: tuple[int, int] | None = None,
        skip_type_keys: Sequence[str] | None = None,
        max_refetch: int = 15,
        directives: Mapping[str, Any] | None = None,
        from_img_info: Sequence[str] | Mapping[str, str] = (),
    ):
        if dynamic_scale is not None:
            raise RuntimeError('dynamic_scale is no longer supported; let the pipeline resize to the scale instead')
        self.pipeline: list[Callable] = []
        self.pipeline_types: list[str] = []
        for step in pipeline:
            if not isinstance(step, dict):
                raise TypeError(f'pipeline of MultiImageMixDataset: expected dicts, got {type(step).__name__}')
            self.pipeline_types.append(step['type'])
            self.pipeline.append(build_from_cfg(step, PIPELINES))
        self.update_skip_type_keys(skip_type_keys)
        self.dataset = dataset
        add_directives(self, directives, from_img_info, replace=False)
        self.max_refetch = max_refetch
        self.num_samples = len(dataset)
        self.CLASSES = dataset.CLASSES
        self.PALETTE = getattr(dataset, 'PALETTE', None)
        for step in self.pipeline:
            if self.CLASSES is not None and hasattr(step, 'bind_classes'):
                step.bind_classes(self.CLASSES)
        if hasattr(dataset, 'flag'):
            self.flag = dataset.flag

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, idx: int) -> Any:
        results = copy.deepcopy(self.dataset[idx])
        for step, name in zip(self.pipeline, self.pipeline_types):
            if self._skip_type_keys is None or name not in self._skip_type_keys:
                results = self._run_step(step, name, results)
        return results

    def _run_step(self, step: Callable, name: str, results: dict) -> dict:
        if hasattr(step, 'get_indexes'):
            if 'img_metas' in results:
                raise ValueError(
                    f'{name}: the images are collected already; Collect and what follows it belong into the pipeline '
                    'of MultiImageMixDataset, after the mixing; what images say of their training is then given '
                    'by AddDirectives'
                )
            results['mix_results'] = self._retry(lambda: self._other_images(step), name, 'found no usable images')
        # the step must not see what a rejected try left behind
        updated = self._retry(lambda: step(copy.deepcopy(results)), name, 'gave no result')
        updated.pop('mix_results', None)
        return updated

    def _other_images(self, step: Callable) -> list[dict] | None:
        indexes = step.get_indexes(self.dataset)
        indexes = indexes if isinstance(indexes, collections.abc.Sequence) else [indexes]
        images = [copy.deepcopy(self.dataset[index]) for index in indexes]
        return None if any(image is None for image in images) else images

    def _retry(self, make: Callable[[], Any], name: str, failure: str) -> Any:
        for _ in range(self.max_refetch):
            made = make()
            if made is not None:
                return made
        raise RuntimeError(
            f'The step {name} of MultiImageMixDataset {failure} in {self.max_refetch} tries; check the pipeline of the '
            'data set and of the step, or raise max_refetch'
        )

    def update_dynamic_scale(self, dynamic_scale: tuple[int, int]) -> None:
        """Let the steps that resize give images of (width, height) px from now on; see ``SyncRandomSizeHook``."""
        set_scale(self.pipeline, dynamic_scale, type(self).__name__)

    def update_skip_type_keys(self, skip_type_keys: Sequence[str] | None) -> None:
        """Choose the types of steps that are left out from now on; None: none.

        Raises:
            TypeError: not a sequence of texts.
        """
        if skip_type_keys is not None and not all(isinstance(key, str) for key in skip_type_keys):
            raise TypeError(f'skip_type_keys: expected types of steps as texts, got {skip_type_keys!r}')
        self._skip_type_keys = skip_type_keys
