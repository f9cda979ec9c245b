import cv2
import numpy as np
import pytest
import torch

from mmdet.models.detectors.base import stack_results

BOXES = [np.zeros((0, 5), np.float32), np.array([[4, 4, 20, 20, 0.9], [0, 0, 8, 8, 0.1]], np.float32)]


def test_stack_results_numbers_the_classes():
    bboxes, labels, masks = stack_results(BOXES)
    assert bboxes.tolist() == BOXES[1].tolist()
    assert labels.tolist() == [1, 1]
    assert masks is None


@pytest.mark.parametrize('scored', [False, True])
@pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor])
def test_stack_results_with_masks(kind, scored):
    masks = [[], [kind(np.eye(3, dtype=bool)), kind(np.zeros((3, 3), bool))]]
    got = stack_results((BOXES, (masks, [[], [0.5, 0.4]]) if scored else masks))[2]
    assert got.sum((1, 2)).tolist() == [3, 0]


def test_stack_results_without_any_detection():
    bboxes, labels, masks = stack_results(([np.zeros((0, 5))] * 2, [[], []]))
    assert (bboxes.shape, labels.shape, masks) == ((0, 5), (0,), None)


def test_show_result_draws_what_is_above_the_threshold(build):
    model = build('retinanet')
    model.CLASSES = ('a', 'b', 'c')
    image = np.full((32, 32, 3), 255, np.uint8)
    none, one = (model.show_result(image, BOXES, score_thr=thr) for thr in (0.95, 0.5))
    assert (none == 255).all()
    assert (one != 255).any()
    assert (image == 255).all()  # drawn on a copy


@pytest.mark.parametrize('name, result', [('retinanet', BOXES), ('rpn', BOXES[1])])
def test_show_result_writes_a_file(build, tmp_path, name, result):
    path = tmp_path / 'made' / 'picture.png'
    image = np.full((32, 32, 3), 255, np.uint8)
    assert build(name).show_result(image, result, out_file=str(path), show=True) is None
    assert path.stat().st_size


def test_show_result_of_proposals_draws_the_best(build):
    image = np.full((32, 32, 3), 255, np.uint8)
    model = build('rpn')
    assert (model.show_result(image, BOXES[1], top_k=0) == 255).all()
    one, two = (model.show_result(image, BOXES[1], top_k=k) for k in (1, 2))
    assert (one != two).any()


def test_show_result_reads_a_file_as_the_pipeline_of_the_config_does(build, tmp_path):
    path = tmp_path / 'deep.png'
    cv2.imwrite(str(path), np.full((32, 32), 257 * 40, np.uint16))  # 16 bits, grey
    model = build('retinanet')
    model.CLASSES = ('a', 'b', 'c')
    model.cfg = dict(data=dict(test=dict(pipeline=[dict(type='LoadImageFromFile', color_type='unchanged')])))
    assert (model.show_result(str(path), BOXES, score_thr=0.95) == 40).all()
