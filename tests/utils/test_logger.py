"""The package's logger: terminal and file."""

import logging

import pytest
from mmcv.utils import logging as mmcv_logging

from mmdet.utils.logger import LogFile, get_root_logger


@pytest.fixture(autouse=True)
def fresh():
    """A logger that nobody has asked for yet; it is as before afterwards."""
    logger, known = logging.getLogger('mmdet'), dict(mmcv_logging.logger_initialized)
    handlers, level = logger.handlers[:], logger.level
    logger.handlers.clear()
    mmcv_logging.logger_initialized.clear()
    yield
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)
    mmcv_logging.logger_initialized.update(known)


def test_file_is_opened_by_the_first_call_that_names_one(tmp_path):
    get_root_logger()
    get_root_logger(str(tmp_path / 'a.log'))
    get_root_logger(str(tmp_path / 'b.log')).info('hello')
    assert (tmp_path / 'a.log').read_text().endswith(' - mmdet - INFO - hello\n')
    assert not (tmp_path / 'b.log').exists()


def test_line_that_the_disk_does_not_take_is_an_error_of_its_writer(capsys):
    logger = get_root_logger('/dev/full')
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        logger.info('hello')
    assert 'Traceback' not in capsys.readouterr().err
    handler = next(handler for handler in logger.handlers if isinstance(handler, LogFile))
    logger.removeHandler(handler)
    with pytest.raises(OSError, match='No space left'):
        handler.close()
