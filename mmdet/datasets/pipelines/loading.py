"""Loading steps: images, annotations and proposals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdet.core.mask.annotation import as_polygons, segmentation_to_bitmap
from mmdet.core.mask.structures import BitmapMasks, PolygonMasks
from mmdet.datasets.audit.annotation_rules import loss_weight_of
from mmdet.datasets.audit.broken_images import join_prefix
from mmdet.datasets.pipelines.image_loading import (  # noqa: F401 - their public place
    LoadImageFromFile,
    LoadImageFromWebcam,
    LoadMultiChannelImageFromFiles,
)
from mmdet.datasets.pipelines.instances import filter_instances
from mmdet.datasets.pipelines.reading import DISK, FileReader
from mmdet.datasets.registry import PIPELINES
from mmdet.utils.registry import did_you_mean


@PIPELINES.register_module()
class LoadAnnotations:
    """Take boxes, labels, masks and segmentation maps from ``ann_info``.

    ==================== =========================================================== =============================
    reads                sets                                                        listed in
    ==================== =========================================================== =============================
    bboxes               gt_bboxes (n, 4) float32                                    bbox_fields
    bboxes_ignore        gt_bboxes_ignore (m, 4)                                     bbox_fields
    labels               gt_labels (n,) int64
    masks                gt_masks, a BitmapMasks or PolygonMasks                     mask_fields
    seg_map (file)       gt_semantic_seg (h, w)                                      seg_fields
    keypoints            gt_keypoints (n, K, 3), keypoint_flip_indices (K,)
    annotations          gt_weights (n,) float32
    gt_is_group_ofs      gt_is_group_ofs (n,) bool
    ==================== =========================================================== =============================

    Args:
        with_bbox: take the boxes.
        with_label: take the labels.
        with_mask: take the masks.
        with_seg: read the segmentation map ``seg_prefix/seg_map``.
        poly2mask: turn polygons into bitmaps; otherwise they stay polygons, and masks must not be run lengths.
        denorm_bbox: boxes are fractions of the image's size; turn them into pixels.
        file_client_args: see :class:`~mmdet.datasets.pipelines.reading.FileReader`.
        with_keypoints: take the keypoints; see ``CocoKeypointDataset``.
        with_weight: take a loss weight of each object, finite and >= 0, 1 where an annotation has none. A row of a loss
            that belongs to the object weighs so much more or less; see ``docs/head_weights.md``.
        weight_key: what it is called in the annotations of a COCO file, or in ``ann_info`` of other data sets.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        with_mask: bool = False,
        with_seg: bool = False,
        poly2mask: bool = True,
        denorm_bbox: bool = False,
        file_client_args: dict = DISK,
        with_keypoints: bool = False,
        with_weight: bool = False,
        weight_key: str = 'loss_weight',
    ) -> None:
        self.with_bbox = with_bbox
        self.with_label = with_label
        self.with_mask = with_mask
        self.with_seg = with_seg
        self.poly2mask = poly2mask
        self.denorm_bbox = denorm_bbox
        self.with_keypoints = with_keypoints
        self.with_weight = with_weight
        self.weight_key = weight_key
        self.reader = FileReader(file_client_args)
        self.file_client_args = self.reader.file_client_args

    def __call__(self, results: dict) -> dict | None:
        if self.with_bbox:
            with_boxes = self._load_bboxes(results)
            if with_boxes is None:
                return None
            results = with_boxes
        if self.with_label:
            results = self._load_labels(results)
        if self.with_mask:
            results = self._load_masks(results)
        if self.with_seg:
            results = self._load_semantic_seg(results)
        if self.with_keypoints:
            results = self._load_keypoints(results)
        if self.with_weight:
            results = self._load_weights(results)
        return results

    def _load_bboxes(self, results: dict) -> dict | None:
        """Boxes; a subclass may give None for an image that cannot be used."""
        ann_info = results['ann_info']
        # copies: later steps change boxes in place, and the entry is read again in the next epoch
        results['gt_bboxes'] = ann_info['bboxes'].copy()
        if self.denorm_bbox and len(results['gt_bboxes']):
            height, width = results['img_shape'][:2]
            results['gt_bboxes'] *= np.array([width, height, width, height], dtype=results['gt_bboxes'].dtype)
        if ann_info.get('bboxes_ignore') is not None:
            results['gt_bboxes_ignore'] = ann_info['bboxes_ignore'].copy()
            add_field(results, 'bbox_fields', 'gt_bboxes_ignore')
        add_field(results, 'bbox_fields', 'gt_bboxes')
        if ann_info.get('gt_is_group_ofs') is not None:
            results['gt_is_group_ofs'] = ann_info['gt_is_group_ofs'].copy()
        return results

    def _load_labels(self, results: dict) -> dict:
        results['gt_labels'] = results['ann_info']['labels'].copy()
        return results

    def _poly2mask(self, mask_ann: list | dict, img_h: int, img_w: int) -> np.ndarray:
        """One object's mask in a COCO file (polygons, or run lengths of either kind) as a bitmap (h, w) uint8."""
        return segmentation_to_bitmap(mask_ann, img_h, img_w)

    def _read_polygons(self, mask_ann: list | dict) -> list[np.ndarray]:
        if isinstance(mask_ann, dict):
            raise ValueError('it is of run lengths, which poly2mask=False does not take; there must be polygons')
        return self.process_polygons(as_polygons(mask_ann))

    def process_polygons(self, polygons: list[Sequence[float]]) -> list[np.ndarray]:
        """Polygons as arrays; those with less than three corners or a lone coordinate are left out."""
        arrays = [np.array(polygon) for polygon in polygons]
        return [polygon for polygon in arrays if len(polygon) % 2 == 0 and len(polygon) >= 6]

    def _load_masks(self, results: dict) -> dict:
        height, width = results['img_info']['height'], results['img_info']['width']
        masks = results['ann_info']['masks']
        read = (lambda mask: self._poly2mask(mask, height, width)) if self.poly2mask else self._read_polygons
        objects: list[Any] = []
        for number, mask in enumerate(masks):
            try:
                objects.append(read(mask))
            except ValueError as err:
                raise ValueError(
                    f'the mask of object {number} of {results["img_info"]["filename"]} cannot be used: {err}'
                ) from err
        results['gt_masks'] = (BitmapMasks if self.poly2mask else PolygonMasks)(objects, height, width)
        add_field(results, 'mask_fields', 'gt_masks')
        return results

    def _load_semantic_seg(self, results: dict) -> dict:
        filename = join_prefix(results['seg_prefix'], results['ann_info']['seg_map'])
        results['gt_semantic_seg'] = self.reader.read_image(filename, flag='unchanged').squeeze()
        add_field(results, 'seg_fields', 'gt_semantic_seg')
        return results

    def _load_keypoints(self, results: dict) -> dict:
        ann_info = results['ann_info']
        if 'keypoints' not in ann_info:
            raise KeyError(
                'LoadAnnotations(with_keypoints=True): the data set gives no keypoints; use CocoKeypointDataset '
                f'There is: {", ".join(ann_info)}'
            )
        results['gt_keypoints'] = ann_info['keypoints'].copy()
        results['keypoint_flip_indices'] = ann_info['keypoint_flip_indices']
        return results

    def _load_weights(self, results: dict) -> dict:
        ann_info, key = results['ann_info'], self.weight_key
        count = len(ann_info['bboxes'])
        if key in ann_info:
            anns = [{key: value} for value in np.asarray(ann_info[key]).reshape(-1).tolist()]
        elif 'annotations' in ann_info:
            anns = ann_info['annotations']
        else:
            raise KeyError(
                f'LoadAnnotations(with_weight=True): the data set gives no {key!r}{did_you_mean(key, ann_info)} '
                f'There is: {", ".join(ann_info)}'
            )
        name = results['img_info'].get('filename', '')
        if len(anns) != count:
            raise ValueError(f'{name}: {len(anns)} {key} for {count} objects; there must be one for each')
        try:
            weights = [loss_weight_of(ann, key) for ann in anns]
        except ValueError as err:
            raise ValueError(f'{name}: {err}') from err
        results['gt_weights'] = np.asarray(weights, dtype=np.float32)
        return results

    def __repr__(self) -> str:
        keypoints = ', with_keypoints=True' if self.with_keypoints else ''
        keypoints += f', with_weight=True, weight_key={self.weight_key!r}' if self.with_weight else ''
        return (
            f'{type(self).__name__}(with_bbox={self.with_bbox}, with_label={self.with_label}, '
            f'with_mask={self.with_mask}, with_seg={self.with_seg}, poly2mask={self.poly2mask}, '
            f'file_client_args={self.file_client_args}{keypoints})'
        )


def add_field(results: dict, fields: str, key: str) -> None:
    """List ``key`` under ``fields`` ('bbox_fields', 'mask_fields', ...), once."""
    names = results.setdefault(fields, [])
    if key not in names:
        names.append(key)


@PIPELINES.register_module()
class LoadPanopticAnnotations(LoadAnnotations):
    """Boxes, labels, instance masks and the segmentation map of COCO panoptic annotations.

    Masks and map come from one PNG (``seg_prefix/seg_map``), whose colours are the segments' ids; ``ann_info['masks']``
    lists for each segment its ``id``, ``category`` and ``is_thing``. Pixels of no segment are 255 in the map.

    Args: as in :class:`LoadAnnotations`.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        with_mask: bool = True,
        with_seg: bool = True,
        file_client_args: dict = DISK,
    ) -> None:
        super().__init__(
            with_bbox=with_bbox,
            with_label=with_label,
            with_mask=with_mask,
            with_seg=with_seg,
            poly2mask=True,
            denorm_bbox=False,
            file_client_args=file_client_args,
        )

    def __call__(self, results: dict) -> dict | None:
        if self.with_bbox:
            with_boxes = self._load_bboxes(results)
            if with_boxes is None:
                return None
            results = with_boxes
        if self.with_label:
            results = self._load_labels(results)
        if self.with_mask or self.with_seg:
            results = self._load_masks_and_semantic_segs(results)
        return results

    def _load_masks_and_semantic_segs(self, results: dict) -> dict:
        filename = join_prefix(results['seg_prefix'], results['ann_info']['seg_map'])
        ids = segment_ids(self.reader.read_image(filename, flag='color', channel_order='rgb'))
        segments = results['ann_info']['masks']
        if self.with_mask:
            masks = [(ids == segment['id']).astype(np.uint8) for segment in segments if segment.get('is_thing')]
            results['gt_masks'] = BitmapMasks(masks, *ids.shape)
            add_field(results, 'mask_fields', 'gt_masks')
        if self.with_seg:
            seg = np.full_like(ids, 255)
            for segment in segments:
                seg[ids == segment['id']] = segment['category']
            results['gt_semantic_seg'] = seg
            add_field(results, 'seg_fields', 'gt_semantic_seg')
        return results


def segment_ids(rgb: np.ndarray) -> np.ndarray:
    """Colours (h, w, 3) of a COCO panoptic PNG -> segment ids (h, w) int32: red + 256 green + 256^2 blue."""
    return rgb.astype(np.int32) @ np.array([1, 256, 256**2], dtype=np.int32)


@PIPELINES.register_module()
class LoadProposals:
    """Take ready-made proposals: ``results['proposals']``, (k, 4) boxes or (k, 5) with a score.

    Args:
        num_max_proposals: keep the first so many; None keeps all.

    Raises:
        ValueError: (when called) another shape.
    """

    def __init__(self, num_max_proposals: int | None = None) -> None:
        self.num_max_proposals = num_max_proposals

    def __call__(self, results: dict) -> dict:
        proposals = np.asarray(results['proposals'], dtype=np.float32)
        if proposals.size == 0:
            proposals = np.zeros((0, 4), dtype=np.float32)
        if proposals.ndim != 2 or proposals.shape[1] not in (4, 5):
            raise ValueError(f'LoadProposals: expected proposals of shape (k, 4) or (k, 5), got {proposals.shape}')
        results['proposals'] = proposals[: self.num_max_proposals, :4]
        add_field(results, 'bbox_fields', 'proposals')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_max_proposals={self.num_max_proposals})'


@PIPELINES.register_module()
class FilterAnnotations:
    """Leave out objects that are too small, with their labels, extra labels and masks.

    Args:
        min_gt_bbox_wh: smallest width and height of a box, px; boxes must be larger.
        min_gt_mask_area: smallest area of a mask, square px; as large is enough.
        by_box: look at boxes.
        by_mask: look at masks.
        keep_empty: refuse an image (give None) of which no object is left; False keeps it without objects.

    Raises:
        ValueError: neither ``by_box`` nor ``by_mask``.
    """

    def __init__(
        self,
        min_gt_bbox_wh: tuple[float, float] = (1.0, 1.0),
        min_gt_mask_area: int = 1,
        by_box: bool = True,
        by_mask: bool = False,
        keep_empty: bool = True,
    ) -> None:
        if not (by_box or by_mask):
            raise ValueError('FilterAnnotations: at least one of by_box and by_mask must be True')
        if not isinstance(min_gt_bbox_wh, (list, tuple)) or len(min_gt_bbox_wh) != 2:
            raise TypeError(f'FilterAnnotations: min_gt_bbox_wh must be (w, h), got {min_gt_bbox_wh!r}')
        self.min_gt_bbox_wh = min_gt_bbox_wh
        self.min_gt_mask_area = min_gt_mask_area
        self.by_box = by_box
        self.by_mask = by_mask
        self.keep_empty = keep_empty

    def __call__(self, results: dict) -> dict | None:
        keep = np.ones(len(results['gt_bboxes'] if self.by_box else results['gt_masks']), dtype=bool)
        if self.by_box:
            boxes = results['gt_bboxes']
            keep &= ((boxes[:, 2:] - boxes[:, :2]) > np.array(self.min_gt_bbox_wh)).all(1)
        if self.by_mask:
            keep &= results['gt_masks'].areas >= self.min_gt_mask_area
        if len(keep) == 0:
            return results
        filter_instances(results, keep)
        return None if self.keep_empty and not keep.any() else results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(min_gt_bbox_wh={self.min_gt_bbox_wh}, min_gt_mask_area={self.min_gt_mask_area}, '
            f'by_box={self.by_box}, by_mask={self.by_mask}, keep_empty={self.keep_empty})'
        )
