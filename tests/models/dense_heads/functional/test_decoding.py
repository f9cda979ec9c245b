"""From rows of levels to boxes."""

import torch

from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.models.dense_heads.functional.decoding import best_boxes


def test_best_rows_of_each_level_with_their_further_values():
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 50, 50]])
    levels = [
        (torch.tensor([[0.1, 0.9], [0.3, 0.2], [0.5, 0.4]]), torch.zeros(3, 4), anchors, torch.arange(3)),
        (torch.tensor([[0.7, 0.0]]), torch.zeros(1, 4), anchors[1:2], torch.tensor([9])),
    ]
    scores, boxes, numbers = best_boxes(levels, DeltaXYWHBBoxCoder(), 2, (40, 40))
    assert numbers.tolist() == [0, 2, 9] and scores[:, 0].tolist() == torch.tensor([0.1, 0.5, 0.7]).tolist()
    assert boxes.tolist() == [[0, 0, 10, 10], [0, 0, 40, 40], [20, 20, 30, 30]]
    assert len(best_boxes(levels, DeltaXYWHBBoxCoder(), -1, (40, 40))[0]) == 4
