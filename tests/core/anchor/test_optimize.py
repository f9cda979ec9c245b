"""Anchor sizes that fit boxes."""

import numpy as np
import pytest
import torch

from mmdet.core.anchor.optimize import evolved_anchors, fitted_sizes, kmeans_anchors, mean_best_iou, shape_iou

CLUSTERS = torch.tensor([[10.0, 20.0], [11.0, 19.0], [9.0, 21.0], [60.0, 40.0], [62.0, 42.0], [58.0, 38.0]])


def test_shape_iou_of_boxes_with_one_centre():
    ious = shape_iou(torch.tensor([[10.0, 10.0], [20.0, 5.0]]), torch.tensor([[10.0, 10.0], [10.0, 5.0]]))
    assert torch.allclose(ious, torch.tensor([[1.0, 0.5], [50 / 150, 0.5]]))


def test_kmeans_finds_the_two_means_smallest_first():
    assert torch.allclose(kmeans_anchors(CLUSTERS, 2), torch.tensor([[10.0, 20.0], [60.0, 40.0]]))


def test_kmeans_with_as_many_clusters_as_boxes_fits_them():
    assert mean_best_iou(CLUSTERS, kmeans_anchors(CLUSTERS, 6)) == pytest.approx(1)
    with pytest.raises(ValueError, match='6 boxes do not suffice for 7'):
        kmeans_anchors(CLUSTERS, 7)


def test_evolution_is_as_good_as_clustering():
    found = evolved_anchors(CLUSTERS, 2, (64, 64), iters=60)
    assert mean_best_iou(CLUSTERS, found) >= mean_best_iou(CLUSTERS, kmeans_anchors(CLUSTERS, 2)) - 1e-3
    with pytest.raises(ValueError, match='no box'):
        evolved_anchors(CLUSTERS[:0], 2, (64, 64))


def test_fitted_sizes_keep_the_ratio():
    sizes = fitted_sizes(np.array([[100.0, 50.0], [10.0, 10.0]]), np.array([[200, 100], [50, 100]]), (100, 100))
    assert sizes.tolist() == [[50, 25], [10, 10]]
