"""Errors in annotations, found by detectors that were not trained on the images; see docs/label_errors.md."""

from mmdet.apis.label_errors.advice import advise, read_rates, sentences, write_rates
from mmdet.apis.label_errors.findings import Findings, apply_findings, look_at_labels, write_findings
from mmdet.apis.label_errors.folds import checkpoint_folds, read_results, train_folds
from mmdet.apis.label_errors.labelled_images import Detections, LabelledImage, Source, detections_of, sources_of
from mmdet.apis.label_errors.matching import Matches, match_image
from mmdet.apis.label_errors.missing_rate import Rate, estimate_missing_rates
from mmdet.apis.label_errors.scoring import MissingPackageError, score_images
from mmdet.apis.label_errors.suggestions import Report, Suggestion

__all__ = [
    'Detections',
    'Findings',
    'LabelledImage',
    'Matches',
    'MissingPackageError',
    'Rate',
    'Report',
    'Source',
    'Suggestion',
    'advise',
    'apply_findings',
    'checkpoint_folds',
    'detections_of',
    'estimate_missing_rates',
    'look_at_labels',
    'match_image',
    'read_rates',
    'read_results',
    'score_images',
    'sentences',
    'sources_of',
    'train_folds',
    'write_findings',
    'write_rates',
]
