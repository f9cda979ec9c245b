import numpy as np
import pytest

from mmdet.models.detectors.cascade_rcnn import CascadeRCNN
from mmdet.models.detectors.two_stage import TwoStageDetector

BOXES = [np.array([[2.0, 2, 12, 12, 0.9]]), np.zeros((0, 5))]
MASKS = [[np.ones((16, 16), dtype=bool)], []]


class NoLayers(CascadeRCNN):
    """Drawing needs no layers."""

    def __init__(self):
        super(TwoStageDetector, self).__init__()


@pytest.mark.parametrize(
    'plain, staged',
    [(BOXES, dict(ensemble=BOXES)), ((BOXES, MASKS), (dict(ensemble=BOXES), dict(ensemble=MASKS)))],
    ids=['boxes', 'masks'],
)
def test_of_results_by_stage_the_mean_is_drawn(plain, staged):
    detector, image = NoLayers(), np.zeros((16, 16, 3), dtype=np.uint8)
    pictures = [detector.show_result(image, result, mask_color=(0, 0, 255)) for result in (plain, staged)]
    assert pictures[0].any() and np.array_equal(*pictures)
