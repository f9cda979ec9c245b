"""The annotations that metrics work on: copies, brought into a form of which pycocotools makes no wrong figures.

pycocotools writes into the annotations that it is given (``ignore``, run lengths instead of polygons), takes an object
whose id is 0 for one that was not found, overwrites ``ignore`` by ``iscrowd``, and trusts run lengths.
"""

from collections.abc import Collection, Sequence

from mmdet.core.mask.annotation import segmentation_to_rle
from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.datasets.audit.annotation_rules import format_list, is_ignored


def evaluation_copy(coco_gt: COCO, img_ids: Collection, with_masks: Sequence | None = None) -> COCO:
    """An annotation file for one evaluation.

    Ids of annotations are numbered from 1. An object with ``ignore`` counts as a crowd does: what is found there is
    neither true nor false. Annotations of other images are left out, and of categories that are not listed.

    Args:
        coco_gt: the file; not changed.
        img_ids: images that count.
        with_masks: ids of the categories whose masks are made run lengths, for ``metric='segm'``; None: none are
            looked at.

    Raises:
        ValueError: an annotation has no mask, or an impossible one; the message names them.
    """
    images = set(img_ids)
    chosen = [ann for ann in coco_gt.dataset.get('annotations', ()) if ann['image_id'] in images]
    copies = [{**ann, 'id': number, 'iscrowd': int(is_ignored(ann))} for number, ann in enumerate(chosen, 1)]
    if with_masks is not None:
        _make_run_lengths(chosen, copies, coco_gt, set(with_masks))
    out = COCO()
    out.dataset = {'info': {}, **coco_gt.dataset, 'annotations': copies}
    out.build_index()
    return out


def _make_run_lengths(chosen: Sequence[dict], copies: Sequence[dict], coco_gt: COCO, cat_ids: set) -> None:
    without, wrong = [], []
    for ann, copy in zip(chosen, copies):
        if ann['category_id'] not in cat_ids:
            copy.pop('segmentation', None)
            continue
        if not ann.get('segmentation'):
            without.append(ann['id'])
            continue
        info = coco_gt.imgs[ann['image_id']]
        try:
            copy['segmentation'] = segmentation_to_rle(ann['segmentation'], info['height'], info['width'])
        except ValueError as err:
            wrong.append(f'{ann["id"]}: {err}')
    if without:
        raise ValueError(f"metric 'segm': {len(without)} annotations have no segmentation: {format_list(without)}")
    if wrong:
        raise ValueError(f"metric 'segm': {len(wrong)} annotations have impossible masks: {format_list(wrong)}")
