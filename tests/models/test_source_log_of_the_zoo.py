"""Losses of the zoo's detectors by source: those of the sources add up to the loss."""

import copy

import numpy as np
import pytest
import torch
from small_zoo import DENSE, MASKS, OF_SSD, TAUGHT, with_mask_queries

from mmdet.core.mask import BitmapMasks
from mmdet.models import build_detector
from mmdet.models.source_log import SourceLog

BOXES = [torch.tensor([[3.0, 2, 20, 21], [1, 12, 14, 30]]), torch.tensor([[2.0, 10, 15, 30], [10, 1, 31, 26]])]
LABELS = [torch.tensor([1, 0]), torch.tensor([0, 1])]
SHAPE = dict(img_shape=(32, 32, 3), pad_shape=(32, 32, 3), ori_shape=(32, 32, 3), batch_input_shape=(32, 32))
SOURCES = ['real', 'synthetic']
QUERIES = {kind: with_mask_queries(kind) for kind in ('MaskFormer', 'Mask2Former')}
WITH_MASKS = {**MASKS, **QUERIES}


def masks_of(boxes):
    masks = np.zeros((len(boxes), 32, 32), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist()):
        mask[y1:y2, x1:x2] = 1
    return BitmapMasks(masks, 32, 32)


@pytest.mark.parametrize('name', [*DENSE, *OF_SSD, *TAUGHT, *WITH_MASKS])
def test_parts_of_the_sources_add_up_to_the_loss(name):
    torch.manual_seed(0)
    model = build_detector(copy.deepcopy({**DENSE, **OF_SSD, **TAUGHT, **WITH_MASKS}[name])).train()
    with torch.no_grad():
        for p in (p for p in model.parameters() if p.dim() > 1):
            p.copy_(torch.randn_like(p) * 0.2)
    log = SourceLog(model, SOURCES)
    metas = [dict(SHAPE, source=source, filename='a.jpg') for source in SOURCES]
    data = dict(img=torch.randn(2, 3, 32, 32), img_metas=metas, gt_bboxes=BOXES, gt_labels=LABELS)
    if name in WITH_MASKS:
        data['gt_masks'] = list(map(masks_of, BOXES))
    with log.recording(metas):
        losses = model(**data)
    names, values = log.entries(losses)
    entries = dict(zip(names, values.tolist()))
    of_losses = [key for key in losses if 'loss' in key]
    assert of_losses
    for key in of_losses:
        value = losses[key]
        whole = float((sum(v.sum() for v in value) if isinstance(value, list) else value.mean()).detach())
        parts = [entries[f'{key}/{source}'] for source in SOURCES]
        assert sum(parts) == pytest.approx(whole, rel=1e-3, abs=1e-6), key
        assert whole == 0 or all(part > 0 for part in parts), (key, parts)
