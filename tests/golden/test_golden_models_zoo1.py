"""Golden numbers of the YOLO family and of point and corner detectors: losses, gradient norms, detections."""

from pathlib import Path

import pytest
from golden_data import cases_of, outputs_of
from whole_models import problems, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('case', cases_of('models_zoo1'), ids=lambda case: case['name'])
def test_detector_gives_the_golden_numbers(case, monkeypatch):
    want = outputs_of('models_zoo1', case['name'])
    assert problems(want, run(case, ROOT / case['config'], monkeypatch), case['tol']) == []
