"""A report of a run as one HTML page: curves, figures, thresholds, mistakes in pictures, and the data."""

from mmdet.apis.report.class_scores import ClassScores, class_scores, write_thresholds
from mmdet.apis.report.page import write_page
from mmdet.apis.report.run import Run, Settings, collect
from mmdet.apis.report.samples import Sample, samples
from mmdet.apis.report.training import report_training

__all__ = [
    'ClassScores',
    'Run',
    'Sample',
    'Settings',
    'class_scores',
    'collect',
    'report_training',
    'samples',
    'write_page',
    'write_thresholds',
]
