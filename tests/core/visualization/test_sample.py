"""Pictures of training samples."""

import numpy as np
import pytest

from mmdet.core.directives import IGNORE_NEGATIVES, ROI_HEAD, RPN_HEAD, loss_weight_key
from mmdet.core.visualization.sample import LINE_HEIGHT, directive_lines, draw_sample

GREY = np.full((60, 80, 3), 120, np.uint8)


def draw(**options):
    return draw_sample(GREY, np.array([[5.0, 5, 30, 30]]), np.array([0]), class_names=('a',), **options)


@pytest.mark.parametrize(
    ('metas', 'line'),
    [
        ({'negatives': 'none'}, 'negatives none'),
        ({'rpn_head.negatives': dict(type='soft', weight=0.5)}, 'rpn_head.negatives soft'),
        ({'bbox_head.negative_weight': 0.25}, 'bbox_head.negative_weight 0.25'),
        ({'labeled_classes': [0, 'c']}, 'labeled_classes: a, c'),
        ({'unlabeled_classes': [1]}, 'unlabeled_classes: b'),
    ],
)
def test_directive_lines_name_every_kind_of_directive(metas, line):
    assert directive_lines({**metas, 'ori_filename': 'a.jpg'}, ('a', 'b', 'c')) == [line]


def test_directive_lines_name_weights_and_ignored_negatives():
    metas = {loss_weight_key(RPN_HEAD): 0.5, loss_weight_key(ROI_HEAD): 2, IGNORE_NEGATIVES: 1}
    assert directive_lines(metas) == ['rpn_head 0.5', 'roi_head 2', 'ignore_negatives']
    assert directive_lines({}) == ['no directives: every head has weight 1']
    with pytest.raises(ValueError, match='>= 0'):
        directive_lines({loss_weight_key(RPN_HEAD): -1})


def test_draw_sample_is_as_large_as_the_image_with_its_caption_below():
    assert draw().shape == (60, 80, 3)
    picture = draw(caption=['one', 'two'], scale=2)
    assert picture.shape == (120 + 2 * LINE_HEIGHT, 160, 3)
    assert np.array_equal(picture[:120], draw(scale=2)) and (picture[120:] < 100).any()


def test_draw_sample_ignored_boxes_change_nothing_elsewhere():
    changed = (draw(bboxes_ignore=np.array([[40.0, 30, 70, 50]])) != draw()).any(-1)
    assert changed[31:49, 41:69].any() and not changed[:10].any() and not changed[:, :35].any()


def test_draw_sample_without_boxes_shows_the_image():
    picture = draw_sample(GREY, np.zeros((0, 4)), np.zeros(0, int), bboxes_ignore=np.zeros((0, 4)))
    assert np.array_equal(picture, GREY)


def test_draw_sample_draws_labelled_keypoints_and_the_lines_between_them():
    points = np.array([[[50.0, 10, 2], [70, 10, 1], [60, 50, 0]]])
    changed = (draw(keypoints=points, limbs=[(0, 1), (1, 2)], scale=2) != draw(scale=2)).any(-1)
    assert changed[19:22, 100:140].any(0).all()  # both points and the line between them
    assert not changed[40:].any()  # neither the point without a label nor a line to it
