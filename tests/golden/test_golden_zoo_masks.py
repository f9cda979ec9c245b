"""Golden numbers of MaskFormer, Mask2Former and an RFNext config: losses, gradient norms, panoptic maps, instances."""

from pathlib import Path

import numpy as np
import pytest
import torch
from filling import fill_buffers
from golden_data import cases_of, outputs_of
from whole_models import build, detection_problems, fixed_random, gradient_problems, inputs, loss_problems, train_once

ROOT = Path(__file__).resolve().parents[2]
STEM = 'models_zoo_masks'


def result_of_last(model, case, monkeypatch):
    """Result of the last image, at the size of the original."""
    model.eval()
    given = inputs(case)
    with torch.no_grad(), fixed_random(monkeypatch):
        views = dict(img=[given['img'][-1:]], img_metas=[[given['img_metas'][-1]]])
        return model(return_loss=False, rescale=True, **views)[0]


def rows_of(boxes_by_class):
    """(n, 6) label, box, score, best first; and the order of the same rows, class after class."""
    rows = [np.concatenate([np.full((len(b), 1), label), b], 1) for label, b in enumerate(boxes_by_class)]
    rows = np.concatenate(rows)
    order = np.argsort(-rows[:, -1], kind='stable')
    return rows[order], order


def instance_problems(want, boxes, masks, tol):
    rows, order = rows_of(boxes)
    found = detection_problems(want, rows, tol)
    masks = [np.asarray(mask) for of_class in masks for mask in of_class]
    areas = np.array([masks[i].sum() for i in order[:50]])
    near = np.isclose(np.sort(areas), np.sort(want['test_mask_area']), rtol=0.02, atol=4)
    if masks[0].shape != tuple(want['test_mask_shape']) or near.mean() < 0.9:
        found.append(f'{near.mean():.0%} of the masks, size {masks[0].shape}')
    return found


@pytest.mark.parametrize('case', cases_of(STEM), ids=lambda case: case['name'])
def test_detector_gives_the_golden_numbers(case, monkeypatch):
    want, tol = outputs_of(STEM, case['name']), case['tol']
    model = build(case, ROOT / case['config'], monkeypatch)
    losses, norms = train_once(model, case, monkeypatch)
    found = loss_problems(want, losses, tol) + gradient_problems(want, norms, tol)
    fill_buffers(model, case['fill']['seed'])
    result = result_of_last(model, case, monkeypatch)
    if 'test_panoptic' in want:
        equal = (result['pan_results'] == want['test_panoptic']).mean()
        found += [f'{equal:.1%} of the panoptic map'] if equal < tol['panoptic_share'] else []
    if 'test_dets' in want:
        instances = result['ins_results'] if isinstance(result, dict) else result
        found += instance_problems(want, *instances, tol)
    assert found == []


def test_cases_hold_panoptic_maps_and_masks():
    kinds = {kind for case in cases_of(STEM) for kind in outputs_of(STEM, case['name'])}
    assert {'test_panoptic', 'test_dets', 'test_mask_area'} < kinds
    names = [case['name'].split('__')[0] for case in cases_of(STEM)]
    assert names == ['maskformer', 'mask2former', 'rfnext']
