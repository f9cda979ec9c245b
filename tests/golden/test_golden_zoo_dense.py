"""Golden numbers of dense detectors and of instance segmentation in one stage, masks and teachers included."""

from pathlib import Path

import numpy as np
import pytest
import torch
from filling import fill_buffers, fill_module
from golden_data import cases_of, outputs_of
from whole_models import build, detect_last, drop_nothing, fixed_random, inputs, problems, train_once

ROOT = Path(__file__).resolve().parents[2]
STEM = 'models_zoo_dense'


def mask_areas(model, case, monkeypatch):
    """Pixels of the last image's masks, the best detection's first, and the masks' size."""
    given = inputs(case)
    with torch.no_grad(), fixed_random(monkeypatch):
        boxes, masks = model(
            return_loss=False, rescale=True, img=[given['img'][-1:]], img_metas=[[given['img_metas'][-1]]]
        )[0]
    scores = np.concatenate([of_class[:, -1] for of_class in boxes])
    masks = [np.asarray(mask) for of_class in masks for mask in of_class]
    order = np.argsort(-scores, kind='stable')[:50]
    return np.array([masks[i].sum() for i in order]), masks[0].shape


@pytest.mark.parametrize('case', cases_of(STEM), ids=lambda case: case['name'])
def test_detector_gives_the_golden_numbers(case, monkeypatch):
    monkeypatch.chdir(ROOT)  # the path of a teacher's config is relative to it
    want = outputs_of(STEM, case['name'])
    model, seeds = build(case, ROOT / case['config'], monkeypatch), case['fill']
    teacher = getattr(model, 'teacher_model', None)
    if teacher is not None:
        fill_module(teacher, seeds['seed'], seeds['gain'], seeds['rules'], prefix='teacher_model.')
        drop_nothing(teacher)
    losses, norms = train_once(model, case, monkeypatch)
    fill_buffers(model, seeds['seed'])
    assert problems(want, (losses, norms, detect_last(model, case, monkeypatch)), case['tol']) == []
    if 'test_mask_area' in want:
        areas, size = mask_areas(model, case, monkeypatch)
        assert size == tuple(want['test_mask_shape'])
        near = np.isclose(np.sort(areas), np.sort(want['test_mask_area']), rtol=0.02, atol=4)
        assert near.mean() > 0.9


def test_cases_hold_masks_and_teachers():
    names = {case['name'].split('__')[0] for case in cases_of(STEM)}
    assert names == {'vfnet', 'paa', 'tood', 'ddod', 'ld', 'lad', 'dyhead', 'yolact', 'solo', 'solov2'}
