"""Every golden case of whole detectors: losses, gradient norms of all parameters, detections."""

from pathlib import Path

import pytest
from golden_data import arrays_of, cases_of, outputs_of
from whole_models import problems, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('case', cases_of('models'), ids=lambda case: case['name'])
def test_detector_gives_the_golden_numbers(case, monkeypatch):
    want = outputs_of('models', case['name'])
    assert problems(want, run(case, ROOT / case['config'], monkeypatch), case['tol']) == []


def test_golden_comparison_notices_a_wrong_loss():
    case = cases_of('models')[0]
    want = outputs_of('models', case['name'])
    losses = dict(zip(want['loss_names'].tolist(), want['loss_values'] + 0.1))
    norms = dict(zip(want['grad_names'].tolist(), want['grad_values']))
    assert len(problems(want, (losses, norms, None), case['tol'])) == len(losses)
    assert arrays_of('models')
