import cv2
import numpy as np
import pytest

from mmdet.core.visualization.embedding import embedding_picture, principal_plane
from mmdet.core.visualization.feature_maps import CAPTION_PX, GAP_PX, feature_map_picture, reduce_channels, stretch


def test_plane_keeps_points_that_lie_in_one():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    flat = rng.normal(size=(40, 2)) * (3, 1)
    plane, shares = principal_plane(flat @ axes + 7)
    assert shares.sum() == pytest.approx(1) and shares[0] > shares[1]
    distances = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (plane, flat)]
    np.testing.assert_allclose(*distances, atol=1e-9)


@pytest.mark.parametrize('points', [np.ones((1, 3)), np.ones((4, 3)), np.arange(4.0)[:, None]])
def test_plane_of_few_or_equal_points_is_finite(points):
    plane, shares = principal_plane(points)
    assert plane.shape == (len(points), 2) and np.isfinite(plane).all() and np.isfinite(shares).all()


def test_sign_of_the_directions_does_not_depend_on_the_order():
    points = np.random.default_rng(1).normal(size=(30, 4))
    np.testing.assert_allclose(principal_plane(points)[0][::-1], principal_plane(points[::-1])[0], atol=1e-9)


def test_embedding_is_drawn_in_the_colours_of_classes_and_domains(tmp_path):
    points = np.random.default_rng(0).normal(size=(60, 3))
    labels, domains = np.repeat([0, 1], 30), np.tile([0, 1], 30)
    embedding_picture(tmp_path / 'new/a.png', points, labels, domains, ('red', 'green'), 'title')
    picture = cv2.imread(str(tmp_path / 'new/a.png')).astype(int)
    left, right = np.split(picture, 2, axis=1)
    orange = np.abs(left - (14, 127, 255)).max(2) < 60  # the second colour of classes, BGR
    assert orange.sum() > 100
    assert (np.abs(right - (14, 127, 255)).max(2) < 40).sum() < 20


def test_map_is_stretched_to_its_own_range():
    np.testing.assert_array_equal(stretch(np.array([[-1.0, 0.0, 1.0]])), [[0, 128, 255]])
    np.testing.assert_array_equal(stretch(np.array([[2.0, np.nan]])), [[0, 0]])


def test_channels_become_one():
    maps = np.array([[[3.0]], [[-4.0]]])
    assert [reduce_channels(maps, how).item() for how in ('mean', 'max', 'norm')] == [-0.5, 3.0, 5.0]


def test_picture_shows_image_and_maps_side_by_side():
    image = np.zeros((3, 16, 24))
    image[0] = 1.0  # red
    hot = np.zeros((1, 2, 2))
    hot[0, 0, 1] = 1.0
    picture = feature_map_picture(image, [hot, np.zeros((4, 8, 12))])
    assert picture.shape == (CAPTION_PX + 16, 3 * 24 + 2 * GAP_PX, 3)
    assert picture[CAPTION_PX + 8, 12].tolist() == [0, 0, 255]
    tile = picture[CAPTION_PX:, 24 + GAP_PX : 48 + GAP_PX].astype(int).sum(2)
    assert tile[:8, 12:].min() > tile[8:].max() and tile[:8, 12:].min() > tile[:, :12].max()
    assert feature_map_picture(None, [hot]).shape[1] == 192
