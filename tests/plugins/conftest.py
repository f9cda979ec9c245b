"""Every test here runs a small project written on the public interface of mmdetection 2.x."""

import logging
import time

import pytest
from mmcv.utils import logging as mmcv_logging


@pytest.fixture(autouse=True)
def quick_and_clean(monkeypatch):
    """No pauses of mmcv's, and a logger that the next test does not inherit."""
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    yield
    logging.getLogger('mmdet').handlers.clear()
    mmcv_logging.logger_initialized.pop('mmdet', None)
