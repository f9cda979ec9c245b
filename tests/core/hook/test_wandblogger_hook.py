"""Logging to Weights & Biases: forms of boxes and masks; ``tests/tools/test_wandb_training.py`` runs a training."""

import sys

import numpy as np
import pytest

from mmdet.core.hook.wandblogger_hook import MMDetWandbHook, class_masks, pixel_boxes, to_bitmap

NAMES = {1: 'red', 2: 'green'}


def test_hook_without_wandb_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(ImportError, match='pip install wandb'):
        MMDetWandbHook()


def test_pixel_boxes_count_classes_from_one():
    boxes = np.array([[1.0, 2, 3, 4, 0.5]])
    (entry,) = pixel_boxes(boxes, np.array([1]), NAMES, with_scores=True)
    assert entry['position'] == dict(minX=1, minY=2, maxX=3, maxY=4) and entry['class_id'] == 2
    assert entry['box_caption'] == 'green 0.50' and entry['scores'] == dict(score=0.5)
    (entry,) = pixel_boxes(boxes[:, :4], np.array([0]), NAMES, with_scores=False)
    assert entry['box_caption'] == 'red' and 'scores' not in entry
    assert pixel_boxes(boxes[:0], np.zeros(0, int), NAMES, True) == []


def test_class_masks_are_unions():
    masks = np.zeros((3, 2, 2), bool)
    masks[0, 0, 0] = masks[1, 1, 1] = masks[2, 0, 1] = True
    unions = class_masks(masks, np.array([1, 1, 0]))
    assert unions[2].tolist() == [[2, 0], [0, 2]] and unions[1].tolist() == [[0, 1], [0, 0]]


def test_to_bitmap_of_polygons_and_run_lengths():
    square = [[1, 1, 3, 1, 3, 3, 1, 3]]
    want = np.zeros((4, 4), bool)
    want[1:3, 1:3] = True
    assert np.array_equal(to_bitmap(square, 4, 4), want)
    assert np.array_equal(to_bitmap(dict(size=[4, 4], counts=[5, 2, 2, 2, 5]), 4, 4), want)
