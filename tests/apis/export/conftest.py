"""Files that small detectors are exported to."""

import logging
import os

import pytest
from export_cases import built, mask_rcnn, retinanet
from filelock import FileLock

from mmdet.apis.export import ExportOptions, export_detector


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
def one_level():
    return built(retinanet(levels=1))


@pytest.fixture(scope='package')
def two_stage():
    return built(mask_rcnn())


def exported_once(tmp_path_factory, request, kind, name=None, options=None):
    """The path of a detector's ONNX file; ``name`` tells files of one detector apart."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if 'PYTEST_XDIST_WORKER' in os.environ else folder  # that of all processes of this run
    path = folder / f'{name or kind}.onnx'
    with FileLock(f'{path}.lock'):
        if not path.exists():
            export_detector(request.getfixturevalue(kind), path, options)
    return path


@pytest.fixture(scope='package')
def one_stage_file(tmp_path_factory, request):
    return exported_once(tmp_path_factory, request, 'one_stage')


@pytest.fixture(scope='package')
def two_stage_file(tmp_path_factory, request):
    return exported_once(tmp_path_factory, request, 'two_stage')


@pytest.fixture(scope='package')
def raw_images_file(tmp_path_factory, request):
    """Of the one-stage detector, with its preprocessing inside."""
    options = ExportOptions(preprocessing='rgb')
    return exported_once(tmp_path_factory, request, 'one_stage', 'raw_images', options)
