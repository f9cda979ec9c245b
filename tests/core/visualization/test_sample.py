"""Pictures of training samples."""

import numpy as np

from mmdet.core.visualization.sample import LINE_HEIGHT, draw_sample

GREY = np.full((60, 80, 3), 120, np.uint8)


def draw(**options):
    return draw_sample(GREY, np.array([[5.0, 5, 30, 30]]), np.array([0]), class_names=('a',), **options)


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
