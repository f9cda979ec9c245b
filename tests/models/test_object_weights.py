"""Detectors and ``gt_weights``: linear in the weight of each object, in boxes, masks and keypoints."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / 'sim_device'))

from sim_cases import CASES  # noqa: E402 - found by the line above, as that below
from sim_models import built, training_batch  # noqa: E402

DETECTORS = (
    'mask_rcnn', 'option fixed_size mask_rcnn', 'point_rend', 'ms_rcnn', 'keypoint_rcnn', 'sabl_faster_rcnn',
    'grid_rcnn', 'queryinst',
)  # fmt: skip


def totals(losses):
    return {k: sum(v).sum() if isinstance(v, list) else v.sum() for k, v in losses.items() if 'loss' in k}


@pytest.mark.parametrize('name', DETECTORS)
def test_losses_are_linear_in_the_weights_of_the_objects(name):
    case = CASES[name]
    model, data = built(case).train(), {key: value.data[0] for key, value in training_batch(case).items()}
    counts = [len(boxes) for boxes in data['gt_bboxes']]

    def losses(of_first, of_rest, **given):
        weights = [torch.full((count,), float(of_rest)) for count in counts]
        weights[0][0] = of_first
        torch.manual_seed(0)
        return totals(model(**data, **(given or dict(gt_weights=weights))))

    with torch.no_grad():
        plain = losses(1, 1, gt_weights=None)
        first, rest, both = losses(3, 1), losses(1, 3), losses(3, 3)
        pairs = [torch.tensor([[1.0, 0]]).repeat(count, 1) for count in counts]
        no_boxes = losses(1, 1, gt_weights=pairs)
    changed = {key for key, value in plain.items() if both[key] != value}
    assert changed == set(plain)
    for key, value in plain.items():
        torch.testing.assert_close(first[key] + rest[key], both[key] + value, rtol=1e-4, atol=1e-5)
        of_classes = key.endswith('cls') and 'bbox' not in key
        assert no_boxes[key] == value if of_classes else no_boxes[key] == 0, key
    assert all('gt_weights' not in meta for meta in data['img_metas'])
