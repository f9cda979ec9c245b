"""CopyPaste."""

from collections.abc import Sequence

import numpy as np

from mmdet.core.mask.structures import BitmapMasks
from mmdet.datasets.pipelines.image_directives import join_directives
from mmdet.datasets.pipelines.instances import filter_instances, join_labels
from mmdet.datasets.pipelines.keypoints import KEYPOINTS
from mmdet.datasets.registry import PIPELINES


@PIPELINES.register_module()
class CopyPaste:
    """Paste objects of another image of the same size over this one (https://arxiv.org/abs/2012.07177).

    The data set around it (``MultiImageMixDataset``) gives the other image in ``mix_results``, which then holds what of
    it was pasted. Objects that get covered are cut; they are left out where little of them is to be seen. Images
    without masks take their boxes for masks. What images say of their training is merged: the pasted pixels count for
    the other image, the remaining ones for this one.

    Args:
        max_num_pasted: most objects that are pasted.
        bbox_occluded_thr: a cut object stays where no side of its box has moved by more than this, px ...
        mask_occluded_thr: ... or where more than this of its mask is left, square px.
        selected: paste some objects that are drawn; False pastes all.
    """

    def __init__(
        self,
        max_num_pasted: int = 100,
        bbox_occluded_thr: float = 10,
        mask_occluded_thr: float = 300,
        selected: bool = True,
    ) -> None:
        if max_num_pasted < 1:
            raise ValueError(f'CopyPaste: max_num_pasted must be at least 1, got {max_num_pasted}')
        self.max_num_pasted = max_num_pasted
        self.bbox_occluded_thr = bbox_occluded_thr
        self.mask_occluded_thr = mask_occluded_thr
        self.selected = selected

    def get_indexes(self, dataset: Sequence) -> int:
        """Draw another image."""
        return int(np.random.randint(0, len(dataset)))

    def gen_masks_from_bboxes(self, bboxes: np.ndarray, img_shape: tuple[int, ...]) -> BitmapMasks:
        """Boxes (n, 4) as masks on an image (h, w, ...); fractions of pixels are cut off."""
        height, width = img_shape[:2]
        x1, y1, x2, y2 = bboxes.astype(np.int64).T[:, :, None, None]
        rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
        masks = (rows >= y1) & (rows < y2) & (columns >= x1) & (columns < x2)
        return BitmapMasks(masks.astype(np.uint8), height, width)

    def get_gt_masks(self, results: dict) -> BitmapMasks:
        """The image's masks, made of its boxes where it has none."""
        if results.get('gt_masks') is not None:
            masks = results['gt_masks']
            return masks if isinstance(masks, BitmapMasks) else masks.to_bitmap()
        return self.gen_masks_from_bboxes(results['gt_bboxes'], results['img'].shape)

    def __call__(self, results: dict) -> dict:
        if 'mix_results' not in results or len(results['mix_results']) != 1:
            raise KeyError('CopyPaste: expected one image in mix_results; use MultiImageMixDataset around the data set')
        other = dict(results['mix_results'][0])
        if results['img'].shape != other['img'].shape:
            raise ValueError(
                f'CopyPaste: both images must have one size, got {results["img"].shape} and {other["img"].shape}; '
                'crop and pad them to a fixed size before'
            )
        with_masks = 'gt_masks' in results
        results['gt_masks'], other['gt_masks'] = self.get_gt_masks(results), self.get_gt_masks(other)
        pasted = self._select_object(other) if self.selected else other
        results['mix_results'] = [pasted]
        results = self._copy_paste(results, pasted)
        if not with_masks:
            del results['gt_masks']
        return results

    def _select_object(self, results: dict) -> dict:
        """The results with some objects only, at least none and at most ``max_num_pasted``."""
        count = len(results['gt_bboxes'])
        num_pasted = np.random.randint(0, min(count + 1, self.max_num_pasted))
        selected = np.random.choice(count, size=num_pasted, replace=False)
        picked = dict(results)
        filter_instances(picked, selected)
        return picked

    def _copy_paste(self, dst_results: dict, src_results: dict) -> dict:
        """Paste all objects of the one over the other; both have masks."""
        if len(src_results['gt_bboxes']) == 0:
            return dst_results
        pasted = src_results['gt_masks'].masks.any(0)
        masks = self.get_updated_masks(dst_results['gt_masks'], pasted)
        # of what is left to be seen: a box around covered parts as well would teach to guess
        boxes = masks.get_bboxes()
        moved = np.abs(boxes - dst_results['gt_bboxes']).max(1, initial=0)
        visible = (moved <= self.bbox_occluded_thr) | (masks.areas > self.mask_occluded_thr)
        dst_results.update(gt_bboxes=boxes.astype(dst_results['gt_bboxes'].dtype), gt_masks=masks)
        if KEYPOINTS in dst_results:
            dst_results[KEYPOINTS] = hide_covered(dst_results[KEYPOINTS], pasted)
        filter_instances(dst_results, visible)
        dst_results['img'] = np.where(pasted[..., None], src_results['img'], dst_results['img'])
        join_labels(dst_results, [dst_results, src_results])
        join_directives(dst_results, [dst_results, src_results], [np.sum(~pasted), np.sum(pasted)])
        dst_results['gt_bboxes'] = np.concatenate([dst_results['gt_bboxes'], src_results['gt_bboxes']])
        if KEYPOINTS in dst_results:
            dst_results[KEYPOINTS] = np.concatenate([dst_results[KEYPOINTS], src_results[KEYPOINTS]])
        joined = np.concatenate([dst_results['gt_masks'].masks, src_results['gt_masks'].masks])
        dst_results['gt_masks'] = BitmapMasks(joined, *joined.shape[1:])
        return dst_results

    def get_updated_masks(self, masks: BitmapMasks, composed_mask: np.ndarray) -> BitmapMasks:
        """Masks without the pixels that are covered by ``composed_mask`` (h, w).

        Raises:
            ValueError: another size.
        """
        if masks.masks.shape[1:] != composed_mask.shape:
            raise ValueError(f'CopyPaste: masks of {masks.masks.shape[1:]} px under one of {composed_mask.shape} px')
        free = (composed_mask == 0).astype(masks.masks.dtype)
        return BitmapMasks(masks.masks * free, masks.height, masks.width)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(max_num_pasted={self.max_num_pasted}, bbox_occluded_thr={self.bbox_occluded_thr}, '
            f'mask_occluded_thr={self.mask_occluded_thr}, selected={self.selected})'
        )


def hide_covered(keypoints: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Keypoints (n, K, 3), visible ones under ``cover`` (h, w) bool as hidden ones: still labelled, visibility 1."""
    x, y = (np.clip(keypoints[..., i].astype(np.int64), 0, cover.shape[1 - i] - 1) for i in range(2))
    hidden = keypoints.copy()
    hidden[..., 2] = np.where(cover[y, x], np.minimum(keypoints[..., 2], 1), keypoints[..., 2])
    return hidden
