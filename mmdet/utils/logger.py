"""The package's logger, and the warnings of other packages that a user cannot act on."""

import inspect
import logging
import sys
import warnings

from mmcv.runner import get_dist_info
from mmcv.utils import get_logger

LOGGER_NAME = 'mmdet'
LINE = '%(asctime)s - %(name)s - %(levelname)s - %(message)s'  # as mmcv's loggers write

# (start of the message, category): raised inside other packages, about other packages' code
UNHELPFUL_WARNINGS = (
    ('On January 1, 2023, MMCV', UserWarning),
    ('pkg_resources is deprecated', UserWarning),
    ('pkg_resources is deprecated', DeprecationWarning),
    ('Deprecated call to `pkg_resources', DeprecationWarning),
    ('torch.meshgrid: in an upcoming release', UserWarning),
    (r"'pin_memory' argument is set as true but no accelerator", UserWarning),
    ('In MMCV v1.4.4, we modified the default value', UserWarning),
    (r'`torch\.cuda\.amp\.GradScaler', FutureWarning),
)

# starts of messages of mmcv's that are about mmcv's own workings; they are logged at the level DEBUG
INNER_MESSAGES = (
    *('Hooks will be executed', 'workflow:', 'Start running,', 'Exp name:', 'Checkpoints will be saved to'),
    *('initialize ', 'Saving checkpoint at', 'load checkpoint from', 'The checkpoint is'),
)


class _InnerMessages(logging.Filter):
    """Lowers messages that begin as one of ``INNER_MESSAGES`` from INFO to DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lower the level; handlers decide about what remains."""
        if record.levelno == logging.INFO and str(record.msg).startswith(INNER_MESSAGES):
            record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
        return True


_INNER_MESSAGES = _InnerMessages()


def quiet_third_party() -> None:
    """Hide announcements and deprecations inside other packages; warnings about the user's own run stay."""
    for message, category in UNHELPFUL_WARNINGS:
        warnings.filterwarnings('ignore', message=message, category=category)
    logging.getLogger('mmcv').addFilter(_INNER_MESSAGES)


class LogFile(logging.FileHandler):
    """A log file; where the disk does not take a line, that is an error of who logs it, not a traceback on the side."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - name of the base class
        """Raise the system's error with the name of the file.

        Raises:
            OSError: the line could not be written.
        """
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, self.baseFilename) from error
        super().handleError(record)


def get_root_logger(log_file: str | None = None, log_level: int | str = logging.INFO) -> logging.Logger:
    """The logger ``mmdet``: terminal, and ``log_file`` too, which the first call that names one opens.

    Args:
        log_file: written by the process of rank 0 only.
        log_level: level of that process; the others log errors only. The first call sets it.
    """
    logger = get_logger(LOGGER_NAME, None, log_level)
    logger.addFilter(_INNER_MESSAGES)  # once, however often it is added
    rank, _ = get_dist_info()
    if rank:  # the first call may have come before this process met the others
        logger.setLevel(logging.ERROR)
    elif log_file is not None and not any(isinstance(handler, LogFile) for handler in logger.handlers):
        handler = LogFile(log_file, 'w')
        handler.setFormatter(logging.Formatter(LINE))
        handler.setLevel(log_level)
        logger.addHandler(handler)
    return logger


def get_caller_name() -> str:
    """Name of the function that called the caller, as ``Class.method`` for a method."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    if frame is None:
        raise RuntimeError('get_caller_name is for functions that another function called')
    name = frame.f_code.co_name
    owner = frame.f_locals.get('self')
    return f'{type(owner).__name__}.{name}' if owner is not None else name


def log_img_scale(img_scale: tuple[int, int], shape_order: str = 'hw', skip_square: bool = False) -> bool:
    """Log an image scale with its height and width named, as configs write both orders.

    Args:
        img_scale: two sizes in pixels.
        shape_order: ``'hw'`` or ``'wh'``: the order of ``img_scale``.
        skip_square: say nothing where both are equal.

    Returns:
        Whether something was logged.

    Raises:
        ValueError: ``shape_order`` is neither ``'hw'`` nor ``'wh'``.
    """
    if shape_order not in ('hw', 'wh'):
        raise ValueError(f"shape_order: expected 'hw' or 'wh', got {shape_order!r}")
    height, width = img_scale if shape_order == 'hw' else reversed(img_scale)
    if skip_square and height == width:
        return False
    get_root_logger().info(f'image scale in {get_caller_name()}: height {height}, width {width}')
    return True
