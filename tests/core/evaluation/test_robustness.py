"""Figures on damaged images, by hand."""

import numpy as np
import pytest

from mmdet.core.evaluation.robustness import (
    ALL,
    BENCHMARK,
    expand_corruptions,
    figures_table,
    summarise,
    summarise_tasks,
    summary_text,
)

OUTPUT = {'snow': {0: dict(bbox_mAP=0.5), 1: dict(bbox_mAP=0.4), 2: dict(bbox_mAP=0.2)}, 'fog': {1: dict(bbox_mAP=0.3)}}


def test_expand_corruptions_groups_and_names_each_once():
    assert expand_corruptions('benchmark') == list(BENCHMARK) and len(BENCHMARK) == 15 and len(ALL) == 19
    assert expand_corruptions(['fog', 'weather']) == ['fog', 'snow', 'frost', 'brightness']
    with pytest.raises(KeyError, match="'rain' is not known"):
        expand_corruptions(['rain'])


def test_summary_is_over_what_was_measured():
    names, summary = summarise_tasks(OUTPUT, 'coco', ['bbox'], ['AP'], 'benchmark')['bbox']
    assert names == ['AP']
    assert summary.clean == pytest.approx([0.5]) and summary.corrupted == pytest.approx([0.3])
    assert summary.relative == pytest.approx([0.6])
    assert summary_text('bbox', names, summary, 'rPC').splitlines()[1].split() == ['AP', '60.000']


def test_summary_reads_figures_nested_by_task_and_those_of_voc():
    nested = {'snow': {0: dict(bbox=dict(AP=0.5)), 3: dict(bbox=dict(AP=0.1))}}
    assert summarise_tasks(nested, 'coco', ['bbox'], ['AP'], 'all')['bbox'][1].relative == pytest.approx([0.2])
    voc = {'snow': {0: dict(mAP=0.8), 3: dict(mAP=0.4)}}
    assert summarise_tasks(voc, 'voc', ['bbox'], None, 'all')['bbox'][1].relative == pytest.approx([0.5])


def test_summary_of_zero_performance_has_no_relative_one():
    table = figures_table({'fog': {0: 0.0, 1: 0.0}}, ['fog'], ['AP'], lambda value, name: value)
    assert table.shape == (1, 6, 1) and np.isnan(summarise(table).relative).all()


def test_summary_without_clean_images_says_what_is_there():
    with pytest.raises(ValueError, match=r'severities: \[1, 2\]'):
        summarise_tasks({'fog': {1: dict(bbox_mAP=1), 2: dict(bbox_mAP=1)}}, 'coco', ['bbox'], ['AP'], 'all')
    with pytest.raises(KeyError, match='segm: segm_mAP was not measured'):
        summarise_tasks(OUTPUT, 'coco', ['segm'], ['AP'], 'all')
