from types import SimpleNamespace

import numpy as np
import pytest

from mmdet.datasets.metrics.proposal_recall import average_recalls, recall_figures


def test_recall_leaves_crowds_and_classes_aside():
    box = dict(bbox=[0, 0, 10, 10])
    anns = {1: [dict(box, category_id=1), dict(bbox=[50, 50, 9, 9], iscrowd=1)], 2: [dict(box, category_id=2)]}
    worse = np.array([[0, 0, 10, 6, 0.9], [0, 0, 10, 10, 0.5]])  # the first overlaps by 0.6
    results = [worse, np.zeros((0, 5))]
    # of two objects the first is found by the best proposal at 0.5 alone, and by the second one at both thresholds
    recalls = average_recalls(SimpleNamespace(img_ann_map=anns), [1, 2, 3], [*results, worse], (1, 2), (0.5, 0.8))
    np.testing.assert_allclose(recalls, [0.25, 0.5])


def test_figures_are_named_by_numbers_of_proposals_and_detections_are_refused():
    figures = recall_figures([np.zeros((0, 5))], (10, 100), lambda: np.array([0.25, 0.5]), 'silent')
    assert figures == {'AR@10': 0.25, 'AR@100': 0.5}
    with pytest.raises(KeyError, match="'proposal_fast' needs proposals"):
        recall_figures([[np.zeros((0, 5))]], (10,), lambda: 1 / 0, 'silent')
