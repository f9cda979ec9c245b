"""Steps of other packages: albumentations and imagecorruptions."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdet.core.mask.structures import BitmapMasks
from mmdet.datasets.pipelines.instances import filter_instances
from mmdet.datasets.pipelines.keypoints import refuse_keypoints
from mmdet.datasets.pipelines.optional import require
from mmdet.datasets.registry import PIPELINES

KEYMAP = dict(img='image', gt_masks='masks', gt_bboxes='bboxes')  # our names -> names of albumentations
INDEX = 'idx_mapper'  # travels through albumentations as each box's label and says which boxes are left


@PIPELINES.register_module()
class Albu:
    """Run transforms of albumentations on image, boxes and bitmaps.

    Labels, extra labels and masks stay in line with the boxes that albumentations leaves.

    Args:
        transforms: ``dict(type=<name in albumentations>, **arguments)``; ``transforms`` inside are built likewise.
        bbox_params: of ``albumentations.BboxParams``; needed where there are boxes. Its ``label_fields`` are not
            needed, and ``filter_lost_elements`` (from configs of mmdetection 2.x) is always on.
        keymap: our names -> names of albumentations; None: images, masks and boxes.
        update_pad_shape: also set ``pad_shape``.
        skip_img_without_anno: refuse an image (give None) when none of its objects is left.

    Raises:
        ImportError: albumentations is not there.
    """

    def __init__(
        self,
        transforms: Sequence[dict],
        bbox_params: dict | None = None,
        keymap: dict[str, str] | None = None,
        update_pad_shape: bool = False,
        skip_img_without_anno: bool = False,
    ) -> None:
        albumentations = require('albumentations', 'Albu')  # not kept, as modules cannot be sent to workers
        self.transforms = copy.deepcopy(transforms)
        self.keymap_to_albu = dict(KEYMAP if keymap is None else keymap)
        self.keymap_back = {theirs: ours for ours, theirs in self.keymap_to_albu.items()}
        self.update_pad_shape = update_pad_shape
        self.skip_img_without_anno = skip_img_without_anno
        self.bbox_params = self._box_parameters(bbox_params)
        self.aug = albumentations.Compose([self.albu_builder(t) for t in transforms], bbox_params=self.bbox_params)

    def _box_parameters(self, bbox_params: dict | None) -> Any:
        if bbox_params is None:
            return None
        params = {key: value for key, value in bbox_params.items() if key != 'filter_lost_elements'}
        return self.albu_builder(dict(type='BboxParams') | params | dict(label_fields=[INDEX]))

    def albu_builder(self, cfg: dict) -> Any:
        """Build one transform.

        Raises:
            ValueError: no ``type``, or one that this version of albumentations does not have.
        """
        if not isinstance(cfg, dict) or 'type' not in cfg:
            raise ValueError(f'Albu: a transform must be dict(type=...), got {cfg!r}')
        kind = cfg['type']
        if isinstance(kind, str):
            albumentations = require('albumentations', 'Albu')
            kind = getattr(albumentations, kind, None)
            if kind is None:
                raise ValueError(f'Albu: albumentations {albumentations.__version__} has no {cfg["type"]!r}')
        arguments = {key: value for key, value in cfg.items() if key != 'type'}
        if 'transforms' in arguments:
            arguments['transforms'] = [self.albu_builder(transform) for transform in arguments['transforms']]
        return kind(**arguments)

    @staticmethod
    def mapper(d: dict, keymap: dict[str, str]) -> dict:
        """The same values under other names, where ``keymap`` has one."""
        return {keymap.get(key, key): value for key, value in d.items()}

    def __call__(self, results: dict) -> dict | None:
        refuse_keypoints(results, 'Albu')
        data = self.mapper({key: results[key] for key in self.keymap_to_albu if key in results}, self.keymap_to_albu)
        if 'bboxes' in data:
            data['bboxes'] = data['bboxes'].tolist()
            data[INDEX] = list(range(len(data['bboxes'])))
        if 'masks' in data:
            if not isinstance(data['masks'], BitmapMasks):
                raise NotImplementedError('Albu works on bitmaps: load the masks with poly2mask=True')
            data['masks'] = list(data['masks'].masks)
        return self._take_back(results, self.aug(**data))

    def _take_back(self, results: dict, data: dict) -> dict | None:
        """Put what albumentations gives into the results."""
        kept = np.array(data.pop(INDEX, []), dtype=np.int64)
        size_hw = data['image'].shape[:2]
        masks = data.get('masks')
        if 'bboxes' in data:
            filter_instances(results, kept, self.keymap_back['bboxes'])
            data['bboxes'] = np.array(data['bboxes'], dtype=np.float32).reshape(-1, 4)
            # masks pass through albumentations whole, whatever became of their boxes
            masks = None if masks is None else [masks[i] for i in kept]
        if masks is not None:
            data['masks'] = BitmapMasks(masks, *size_hw)
        results.update(self.mapper(data, self.keymap_back))
        results['img_shape'] = results['img'].shape
        if self.update_pad_shape:
            results['pad_shape'] = results['img'].shape
        return None if self.skip_img_without_anno and 'bboxes' in data and len(kept) == 0 else results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms})'


@PIPELINES.register_module()
class Corrupt:
    """Damage the image in one of the ways of imagecorruptions (https://arxiv.org/abs/1907.07484).

    Args:
        corruption: name, such as 'gaussian_noise'.
        severity: 1 to 5.

    Raises:
        ImportError: (when called) imagecorruptions is not there.
    """

    def __init__(self, corruption: str, severity: int = 1) -> None:
        self.corruption = corruption
        self.severity = severity

    def __call__(self, results: dict) -> dict:
        corrupt = require('imagecorruptions', 'Corrupt').corrupt
        img = results['img'].astype(np.uint8)
        results['img'] = corrupt(img, corruption_name=self.corruption, severity=self.severity)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(corruption={self.corruption}, severity={self.severity})'
