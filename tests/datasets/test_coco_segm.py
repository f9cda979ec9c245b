"""Masks in CocoDataset: every form of segmentation in, run lengths out, and AP of masks by hand."""

import json

import numpy as np
import pycocotools.mask as mask_utils
import pytest
from coco_files import coco_content

from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.pipelines import LoadAnnotations

SIZE_HW = (48, 64)


def mask_of(x1, y1, x2, y2):
    mask = np.zeros(SIZE_HW, np.uint8, order='F')
    mask[y1:y2, x1:x2] = 1
    return mask


def as_polygon(x1, y1, x2, y2):
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def as_counts(*box):
    """Uncompressed run lengths: columns one after the other, zeros first."""
    flat = mask_of(*box).reshape(-1, order='F')
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
    return dict(size=list(SIZE_HW), counts=np.diff(np.concatenate([[0], edges, [flat.size]])).tolist())


def as_rle(*box):
    rle = mask_utils.encode(mask_of(*box))
    return dict(rle, counts=rle['counts'].decode())


BOX = (4, 6, 24, 26)
FORMS = pytest.mark.parametrize('form', [as_polygon, as_counts, as_rle])
NONE = np.zeros((0, 5), np.float32)


def build(write_coco, forms):
    """A data set with one 20 x 20 px cat an image, its mask in these forms."""
    content = coco_content([[(5, 4, 6, 20, 20)] for _ in forms])
    for ann, form in zip(content['annotations'], forms):
        ann['segmentation'] = form(*BOX)
    return CocoDataset(write_coco(content), [], classes=('cat', 'dog'), test_mode=True)


def found(*boxes, scores=None):
    """One image's detections and masks of cats."""
    scores = scores or [0.9 - 0.1 * i for i in range(len(boxes))]
    dets = np.asarray([[*box, score] for box, score in zip(boxes, scores)], np.float32).reshape(-1, 5)
    return [dets, NONE], [[mask_utils.encode(mask_of(*box)) for box in boxes], []]


@FORMS
def test_every_form_is_loaded_as_the_same_mask(write_coco, form):
    ann = build(write_coco, [form]).get_ann_info(0)
    results = dict(ann_info=ann, img_info=dict(height=48, width=64), img_shape=SIZE_HW, bbox_fields=[], mask_fields=[])
    loaded = LoadAnnotations(with_mask=True)(results)['gt_masks']
    assert np.array_equal(loaded.masks[0], mask_of(*BOX))


@FORMS
def test_every_form_is_evaluated(write_coco, form):
    dataset = build(write_coco, [form])
    assert dataset.evaluate([found(BOX)], metric='segm', logger='silent')['segm_mAP'] == pytest.approx(1, abs=1e-3)


def test_mask_ap_hand_computed(write_coco):
    # the masks: IoU 1 in the first image, 320 / 400 in the second; the box of the second is whole
    results = [found(BOX), found((4, 6, 20, 26))]
    results[1][0][0][0, :4] = BOX
    out = build(write_coco, [as_polygon, as_rle]).evaluate(results, metric=['bbox', 'segm'], logger='silent')
    assert out['bbox_mAP'] == 1.0 and out['segm_mAP_50'] == 1.0
    # up to 0.8 both are found; above, one of two: precision 1 up to recall 0.5, 51 of 101 recalls
    assert out['segm_mAP'] == pytest.approx((7 + 3 * 51 / 101) / 10, abs=1e-3)


def test_format_only_writes_run_lengths_that_json_knows(write_coco, tmp_path):
    dataset = build(write_coco, [as_polygon])
    files, folder = dataset.format_results([found(BOX, (0, 0, 5, 5))], str(tmp_path / 'r'))
    assert folder is None and sorted(files) == ['bbox', 'proposal', 'segm']
    with open(files['segm']) as file:
        first, second = json.load(file)
    assert np.array_equal(mask_utils.decode(first['segmentation']), mask_of(*BOX))
    assert (second['image_id'], second['category_id']) == (1, 5) and second['score'] == pytest.approx(0.8)
    assert second['bbox'] == [0, 0, 5, 5]


def test_masks_with_their_own_scores(write_coco):
    dets, masks = found((40, 0, 50, 9), BOX)  # by the boxes' scores the wrong one would be first
    out = build(write_coco, [as_rle]).evaluate([(dets, (masks, [[0.1, 0.7], []]))], metric='segm', logger='silent')
    assert out['segm_mAP'] == 1.0


def test_proposals_are_written_and_evaluated(write_coco, tmp_path):
    content = coco_content([[(1, 0, 0, 10, 10)]], categories=[dict(id=1, name='cat')])
    dataset = CocoDataset(write_coco(content), [], classes=('cat',), test_mode=True)
    files, _ = dataset.format_results([np.asarray([[0, 0, 10, 10, 0.5]], np.float32)], str(tmp_path / 'r'))
    with open(files['proposal']) as file:
        assert json.load(file) == [dict(image_id=1, bbox=[0, 0, 10, 10], score=0.5, category_id=1)]
    with pytest.raises(KeyError, match='the results hold only proposal'):
        dataset.evaluate([np.zeros((0, 5), np.float32)], metric='segm', logger='silent')


def test_no_masks_at_all(write_coco):
    out = build(write_coco, [as_polygon]).evaluate([([NONE, NONE], [[], []])], metric='segm', logger='silent')
    assert out['segm_mAP'] == 0


def test_annotations_without_masks_are_named(write_coco):
    dataset = build(write_coco, [as_polygon, as_polygon])
    del dataset.coco.dataset['annotations'][1]['segmentation']
    with pytest.raises(ValueError, match="metric 'segm': 1 annotations have no segmentation: 2"):
        dataset.evaluate([found(BOX)] * 2, metric='segm', logger='silent')
