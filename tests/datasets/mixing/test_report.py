"""The report of a mixture: counts, fractions and warnings by hand."""

import json

import pytest
from coco_files import coco_content

from mmdet.core.directives import (
    BBOX_HEAD,
    IGNORE_NEGATIVES,
    LABELED_CLASSES,
    MASK_HEAD,
    NEGATIVES,
    ROI_HEAD,
    RPN_HEAD,
    TWO_STAGES,
    UNLABELED_CLASSES,
    HeadDirectives,
    loss_weight_key,
    negative_weight_key,
    negatives_key,
)
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.dataset_wrappers import RepeatDataset
from mmdet.datasets.mixing.report import MixtureReport, SourceReport, report_mixture, unlabeled_names, warnings_of

RPN, ROI, BOX, MASK = map(loss_weight_key, (RPN_HEAD, ROI_HEAD, BBOX_HEAD, MASK_HEAD))
WITH_MASKS = {**TWO_STAGES, MASK_HEAD: HeadDirectives((MASK_HEAD, ROI_HEAD), enabled=True, ignores=True)}
ONE_STAGE = {BBOX_HEAD: HeadDirectives((BBOX_HEAD, RPN_HEAD), enabled=True, ignores=True)}


def ignoring(*names):
    """Two stages of which the samplers of some read ``ignore_negatives``."""
    return {name: HeadDirectives(head.names, enabled=True, ignores=name in names) for name, head in TWO_STAGES.items()}


@pytest.fixture
def mixture(tmp_path):
    """``mixture(fields, ...)``: sources of 6 and 2 images, each with the fields given."""

    def make(*fields, **changes):
        parts = []
        for (name, count), own in zip([('big', 6), ('small', 2)], fields):
            path = tmp_path / f'{name}.json'
            path.write_text(
                json.dumps(coco_content([[(5, 0, 0, 20, 20)]] * count, categories=[dict(id=5, name='cat')]))
            )
            step = dict(type='AddFieldToImgMetas', fields=list(own), values=list(own.values()))
            pipeline = [dict(type='LoadAnnotations', with_bbox=True), dict(type='Collect', keys=[]), step]
            parts.append(dict(type='CocoDataset', name=name, ann_file=str(path), pipeline=pipeline, classes=('cat',)))
        return build_dataset({**dict(type='ConcatDataset', datasets=parts), **changes})

    return make


def test_fractions_of_a_plain_loader(mixture):
    report = report_mixture(mixture({RPN: 0.5}, {ROI: 3.0, IGNORE_NEGATIVES: 1}))
    assert [s.per_epoch for s in report.sources] == [6, 2]
    assert report.fraction_of_loss(RPN_HEAD) == pytest.approx([3 / 5, 2 / 5])
    assert report.fraction_of_loss(BBOX_HEAD) == pytest.approx([6 / 12, 6 / 12])
    assert [s.ignored for s in report.sources] == [0, 1]
    assert len(report.warnings) == 1 and '25% of the images of an epoch' in report.warnings[0]
    assert 'about 4 batches of 2 images' in report.epoch
    assert '| small  | 2      | 2        | 25.0% | 40.0%         | 50.0%          | 100.0%  | -' in report.table()


def test_ratio_and_factors_change_the_fractions(mixture):
    data = mixture({}, {})
    by_ratio = report_mixture(data, source_ratio=[1, 1], samples_per_gpu=2, world_size=2)
    assert [s.per_epoch for s in by_ratio.sources] == [6, 6]
    assert 'an epoch has 3 steps of 2 x 2 images' in by_ratio.epoch
    by_factor = report_mixture(data, repeat_factors=[0.5, 3])
    assert [s.per_epoch for s in by_factor.sources] == [3, 6] and not by_factor.warnings


def test_wrapped_mixture_counts_its_repeats_and_unused_sources_are_named(mixture):
    data = RepeatDataset(mixture({RPN: 0.5}, {}), 3)
    assert [s.per_epoch for s in report_mixture(data).sources] == [18, 6]
    assert report_mixture(mixture({}, {}), source_ratio=[1, 0]).warnings == ['small: no image of it is used']


def test_unlabelled_classes_are_listed_by_name(mixture):
    data = mixture({}, {LABELED_CLASSES: []})
    assert [s.unlabeled for s in report_mixture(data).sources] == [[], ['cat']]
    assert unlabeled_names({LABELED_CLASSES: [1, 'a']}, ['a', 'b', 'c']) == ['c']
    assert unlabeled_names({UNLABELED_CLASSES: [1, 'a']}, ['a', 'b', 'c']) == ['a', 'b']
    assert unlabeled_names({UNLABELED_CLASSES: []}, ['a']) == unlabeled_names({}, ['a']) == []
    assert report_mixture(mixture({}, {UNLABELED_CLASSES: [0]})).sources[1].unlabeled == ['cat']
    many = SourceReport('a', 1, 1, {}, {}, 0.0, {}, list('abcdefg'))
    assert 'a, b, c, d, e, ... (7 in all)' in MixtureReport([many], '', []).table()


def test_columns_and_warnings_are_of_the_heads_of_the_model(mixture):
    data = mixture({RPN: 0.5, MASK: 0.0}, {ROI: 3.0})
    report = report_mixture(data, heads=WITH_MASKS)
    assert '| ratio | rpn_head loss | bbox_head loss | mask_head loss | ignored |' in report.table()
    fractions = [report.fraction_of_loss(head) for head in WITH_MASKS]
    assert sum(fractions, []) == pytest.approx([3 / 5, 2 / 5, 6 / 12, 6 / 12, 0, 1])  # mask_head falls back on roi_head
    assert len(report.warnings) == 1 and 'big: 100% of its images have weight 0 in mask_head' in report.warnings[0]
    ignored = report_mixture(mixture(*[{IGNORE_NEGATIVES: 1}] * 2), heads=WITH_MASKS).warnings
    assert [text.split(':')[0] for text in ignored] == [RPN_HEAD, BBOX_HEAD, 'ignored negatives']  # masks have none
    single = report_mixture(data, heads=ONE_STAGE)
    assert '| ratio | bbox_head loss | ignored |' in single.table() and not single.warnings
    assert single.fraction_of_loss(BBOX_HEAD) == pytest.approx([3 / 5, 2 / 5])  # falls back on rpn_head
    assert '| ratio | ignored |' in report_mixture(data, heads={}).table()


def test_warnings_of_a_single_stage_name_its_head(mixture):
    def first_words(*fields):
        return [text.split(':')[0] for text in report_mixture(mixture(*fields), heads=ONE_STAGE).warnings]

    assert first_words({BOX: 0.0}, {RPN: 0}) == ['bbox_head']
    assert first_words({IGNORE_NEGATIVES: 1}, {IGNORE_NEGATIVES: 1}) == ['bbox_head', 'ignored negatives']
    assert first_words({negatives_key(RPN_HEAD): 'none'}, {LABELED_CLASSES: []}) == ['bbox_head']
    assert first_words({negatives_key(ROI_HEAD): 'none'}, {}) == []


@pytest.mark.parametrize(
    ('fields', 'heads'),
    [
        ({negatives_key(RPN_HEAD): 'none'}, [RPN_HEAD]),
        ({negative_weight_key(RPN_HEAD): 0.0}, [RPN_HEAD]),
        ({negative_weight_key(ROI_HEAD): 0.0}, [BBOX_HEAD]),
        ({NEGATIVES: dict(type='soft', weight=0)}, [RPN_HEAD, BBOX_HEAD]),
        ({LABELED_CLASSES: []}, [BBOX_HEAD]),
        ({NEGATIVES: 'soft', negative_weight_key(ROI_HEAD): 0.1, LABELED_CLASSES: [0]}, []),
    ],
)
def test_head_whose_negatives_all_weigh_nothing_is_warned_of(mixture, fields, heads):
    def starts(*own):
        warnings = report_mixture(mixture(*own), heads=ignoring()).warnings
        return [warning.split(':')[0] for warning in warnings if 'no image has' in warning]

    assert starts(fields, fields) == heads
    assert starts(fields, {}) == []


def source(name='a', per_epoch=10, weight=1.0, ignored=0.0, weightless=0.0):
    weights = {RPN_HEAD: weight, BBOX_HEAD: 1.0}
    teaches = {RPN_HEAD: weight > 0 and ignored < 1, BBOX_HEAD: ignored < 1}
    return SourceReport(name, 10, per_epoch, weights, {RPN_HEAD: weightless, BBOX_HEAD: 0.0}, ignored, teaches, [])


def test_nothing_to_warn_of():
    assert warnings_of([source(), source('b', 1, ignored=1.0)], TWO_STAGES) == []


@pytest.mark.parametrize(
    ('sources', 'heads', 'expected'),
    [
        ([source(), source('b', weight=0.0, weightless=1.0)], [], ['b: 100% of its images have weight 0 in rpn_head']),
        ([source(weight=0.0, weightless=1.0)], [], ['rpn_head: all images have weight 0, so it learns nothing']),
        ([source(), source('b', 4, ignored=1.0)], [BBOX_HEAD], ['ignored negatives: 29% of the images of an epoch']),
        ([source(), source('b', 4, ignored=1.0)], [], ['ignored negatives: no sampler of the model reads this']),
        (
            [source(ignored=1.0)],
            [RPN_HEAD],
            ['rpn_head: no image has negatives that count', 'ignored negatives: 100% of the images'],
        ),
        (
            [source(weight=0.0, weightless=1.0), source('b', 1, ignored=1.0)],
            [RPN_HEAD],
            ['a: 100% of its images have weight 0', 'rpn_head: no image has negatives that count'],
        ),
    ],
)
def test_risks_are_named(sources, heads, expected):
    found = warnings_of(sources, ignoring(*heads))
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected)), found
