"""Files that small detectors are exported to."""

import logging

import pytest
from export_cases import built, mask_rcnn, retinanet


@pytest.fixture(scope='package', autouse=True)
def without_traces():
    """torch tells its own log of every step of an export; pytest would keep it all."""
    log = logging.getLogger('torch.__trace')
    log.propagate, before = False, log.propagate
    yield
    log.propagate = before


@pytest.fixture(scope='package')
def one_stage():
    return built(retinanet())


@pytest.fixture(scope='package')
def two_stage():
    return built(mask_rcnn())
