"""Mean average precision of single images, and the best and the worst of them."""

import numpy as np
import pytest

from mmdet.core.evaluation.image_map import image_map, rank_images

NONE = np.zeros((0, 5), np.float32)
FOUND = np.array([[0, 0, 10, 10, 0.9]], np.float32)


def test_image_map_is_the_mean_over_the_classes_in_the_image():
    annotation = dict(bboxes=np.array([[0, 0, 10, 10], [50, 50, 60, 60]]), labels=np.array([1, 4]))
    assert image_map([FOUND, FOUND, NONE, NONE, NONE], annotation) == 0.5
    assert image_map(([NONE, FOUND, NONE, NONE, NONE], ['masks']), annotation, (0.5,)) == 0.5


def test_image_map_counts_the_thresholds_that_are_reached():
    # 10 x 8 of 10 x 10 px: IoU 0.8, above 6 of the ten thresholds and at the seventh
    annotation = dict(bboxes=np.array([[0, 0, 10, 8]]), labels=np.array([0]))
    assert image_map([FOUND], annotation) == pytest.approx(0.7)


def test_image_map_leaves_ignored_boxes_of_its_classes_out_of_account():
    annotation = dict(
        bboxes=np.array([[50, 50, 60, 60]]),
        labels=np.array([2]),
        bboxes_ignore=np.array([[0, 0, 10, 10], [0, 0, 5, 5]]),
        labels_ignore=np.array([2, 0]),
    )
    dets = np.array([[0, 0, 10, 10, 0.9], [50, 50, 60, 60, 0.5]], np.float32)
    assert image_map([NONE, NONE, dets], annotation) == 1
    assert image_map([NONE, NONE, dets], dict(annotation, labels_ignore=np.array([0, 0]))) == 0.5


def test_image_map_without_objects_is_none():
    assert image_map([FOUND], dict(bboxes=np.zeros((0, 4)), labels=np.zeros(0))) is None


@pytest.mark.parametrize(
    'maps, topk, best, worst',
    [
        ([0.2, None, 0.9, 0.5], 1, [2], [0]),
        ([0.2, None, 0.9, 0.5], 9, [2, 3], [0]),
        ([0.4], 3, [0], []),
        ([None], 3, [], []),
    ],
)
def test_rank_images_puts_no_image_into_both_lists(maps, topk, best, worst):
    ranking = rank_images(maps, topk)
    assert [i for i, _ in ranking.best] == best and [i for i, _ in ranking.worst] == worst
