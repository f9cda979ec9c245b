"""The made run, for all tests of reports."""

import pytest
from made_run import make_run


@pytest.fixture(scope='session')
def made(tmp_path_factory):
    """The folder of :func:`made_run.make_run`: ``config.py`` and the work folder ``run``."""
    folder = tmp_path_factory.mktemp('report')
    make_run(folder)
    return folder
