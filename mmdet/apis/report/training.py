"""The report at the end of a training, which ``report=dict()`` in a config asks for."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmcv import Config
from mmcv.runner import BaseRunner

from mmdet.apis.report.page import write_page
from mmdet.apis.report.results_files import VAL_STEM
from mmdet.apis.report.run import Settings, collect
from mmdet.utils.configs.config_error import ConfigKeyError
from mmdet.utils.plain_data import dump_plain
from mmdet.utils.registry import did_you_mean

NAME = 'report.html'


def report_settings(report: Mapping[str, Any]) -> Settings:
    """The settings in ``cfg.report``.

    Raises:
        ConfigKeyError: an unknown key.
    """
    for key in report:
        if key not in Settings._fields:
            raise ConfigKeyError(
                f'report: nothing reads {key!r}{did_you_mean(key, Settings._fields)} Read: '
                f'{", ".join(Settings._fields)}.'
            )
    return Settings(**report)


def latest_results(runner: BaseRunner) -> list[Any] | None:
    """The results of a training's last evaluation; None where there was none."""
    found = [hook.latest_results for hook in runner.hooks if hasattr(hook, 'latest_results')]
    return found[0] if found else None


def report_training(cfg: Config, results: Sequence[Any] | None, logger: logging.Logger) -> Path | None:
    """Write ``report.html`` into the work folder of a training that is finished.

    The results of the last evaluation are kept as ``results_val.npz`` for ``tools/analysis_tools/report.py``. A report
    that cannot be written is an error in the log; it does not make the training one that failed.

    Args:
        cfg: config, with ``work_dir`` and ``report``.
        results: of the last evaluation on ``data.val``; None: there was none.
        logger: gets the path.
    """
    work_dir = Path(cfg.work_dir)
    try:
        settings, path = report_settings(cfg.report), work_dir / NAME
        if results is not None:
            dump_plain(list(results), work_dir / f'{VAL_STEM}.npz')
        write_page(collect(cfg, work_dir, split='val', settings=settings), path, None, settings)
    except Exception:
        logger.exception('the training is complete, but its report could not be written')
        return None
    logger.info(f'report: {path}')
    return path
