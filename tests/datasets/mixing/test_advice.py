"""What is advised for incomplete sources: rules by hand, and the facts that they are fed with."""

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
    HeadDirectives,
    negative_weight_key,
    negatives_key,
)
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.mixing import advice as mixing_advice
from mmdet.datasets.mixing.advice import LARGE_FRACTION, PAGE, RULES, Rule, SourceFacts, policy_of_image, recommend
from mmdet.datasets.mixing.report import classes_with_objects, report_mixture

RPN, ROI, BOX = (negative_weight_key(head) for head in (RPN_HEAD, ROI_HEAD, BBOX_HEAD))


def test_complete_sources_need_no_advice():
    assert recommend([]) == []
    assert recommend([SourceFacts('a', 0.5, {'all': 1.0}), SourceFacts('b', 0.5)]) == []


@pytest.mark.parametrize(
    ('fraction', 'policies', 'advised'),
    [
        (0.5, {'none': 1.0}, True),
        (0.5, {'none': 0.5, 'all': 0.5}, True),
        (0.5, {'none': 0.4, 'all': 0.6}, False),  # 20 % of the whole, and not more
        (0.1, {'none': 1.0}, False),
        (1.0, {'none': 1.0}, True),
        (0.9, {'soft': 1.0}, False),
        (0.9, {'overlap': 1.0}, False),
    ],
)
def test_hard_ignoring_is_advised_against_where_it_is_a_large_part(fraction, policies, advised):
    found = recommend([SourceFacts('a', 1 - fraction, {'all': 1.0}), SourceFacts('b', fraction, policies)])
    assert len(found) == advised
    if advised:
        part = f'{fraction * policies["none"]:.0%} of the images'
        assert found[0].startswith(f"b: {part} of an epoch have negatives='none'; prefer 'overlap' or 'soft'")
        assert PAGE in found[0]


def test_parts_of_all_sources_add_up():
    facts = [SourceFacts(name, 0.15, {'none': 1.0}) for name in 'ab'] + [SourceFacts('c', 0.7, {'all': 1.0})]
    (sentence,) = recommend(facts)
    assert sentence.startswith('a, b: 30% of the images')
    assert recommend(facts[1:]) == []


def test_classes_without_objects_are_to_be_declared():
    (sentence,) = recommend([SourceFacts('a', 0.5, without_objects=['cat', 'dog']), SourceFacts('b', 0.5)])
    assert sentence.startswith('a: no object is of cat, dog') and LABELED_CLASSES in sentence and PAGE in sentence
    assert recommend([SourceFacts('unused', 0.0, without_objects=['cat'])]) == []


def test_rules_are_a_table_to_be_filled_in(monkeypatch):
    assert [(rule.policy, rule.above, rule.prefer) for rule in RULES] == [
        ('none', LARGE_FRACTION, ('overlap', 'soft')),
        ('recalibrate', LARGE_FRACTION, ('overlap', 'soft')),
    ]
    new = (Rule('soft', 0.0, 0.1, ('none',), 'it is simpler'), Rule('soft', 0.1, 1.0, ('overlap',), 'it is better'))
    monkeypatch.setattr(mixing_advice, 'RULES', new)
    advised = {fraction: recommend([SourceFacts('a', fraction, {'soft': 1.0})]) for fraction in (0.05, 0.1, 0.5)}
    assert [len(sentences) for sentences in advised.values()] == [1, 1, 1]
    assert "prefer 'none', as it is simpler" in advised[0.1][0] and "prefer 'overlap'" in advised[0.5][0]


@pytest.mark.parametrize(
    ('fields', 'policy'),
    [
        ({}, 'all'),
        ({IGNORE_NEGATIVES: 0, NEGATIVES: 'all', RPN: 1.0}, 'all'),
        ({IGNORE_NEGATIVES: 1, NEGATIVES: 'soft'}, 'none'),
        ({NEGATIVES: 'none'}, 'none'),
        ({negatives_key(RPN_HEAD): 'none'}, 'none'),
        ({negatives_key(RPN_HEAD): 'overlap', negatives_key(ROI_HEAD): 'recalibrate'}, 'recalibrate'),
        ({NEGATIVES: 'overlap'}, 'overlap'),
        ({NEGATIVES: dict(type='soft', weight=0.3)}, 'soft'),
        ({NEGATIVES: dict(type='soft', weight=0)}, 'none'),
        ({NEGATIVES: 'soft'}, 'all'),  # of weight 1
        ({RPN: 0.5}, 'soft'),
        ({ROI: 0.0}, 'none'),
        ({ROI: 0.0, BOX: 1.0}, 'all'),  # the box head's own goes first
    ],
)
def test_policy_of_an_image_is_the_one_by_which_negatives_count_least(fields, policy):
    assert policy_of_image(fields) == policy


def test_policy_of_a_single_stage_is_that_of_its_head():
    heads = {BBOX_HEAD: HeadDirectives((BBOX_HEAD, RPN_HEAD))}
    assert policy_of_image({RPN: 0.5, BOX: 1.0}, heads) == 'all'
    assert policy_of_image({RPN: 0.5, ROI: 0.0}, heads) == 'soft'
    assert policy_of_image({RPN: 0.5}, {MASK_HEAD: HeadDirectives((MASK_HEAD, ROI_HEAD))}) == 'all'


def test_share_that_is_declared_incomplete():
    assert SourceFacts('a', 1.0, {'none': 0.25, 'soft': 0.5, 'all': 0.25}).incomplete == 0.75


def test_facts_come_from_pipelines_and_entries(tmp_path):
    classes, parts = ('cat', 'dog'), []
    categories = [dict(id=5, name='cat'), dict(id=6, name='dog')]
    for name, kinds in (('full', [5, 6]), ('part', [5, 5])):
        content = coco_content([[(kind, 0, 0, 20, 20)] for kind in kinds * 2], categories=categories)
        for image in content['images'][:3] if name == 'part' else []:
            image[NEGATIVES] = 'none'
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
        step = dict(type='AddFieldToImgMetas', from_img_info=[NEGATIVES], default={NEGATIVES: 'all'})
        pipeline = [dict(type='LoadAnnotations', with_bbox=True), dict(type='Collect', keys=[]), step]
        part = dict(type='CocoDataset', name=name, ann_file=str(tmp_path / f'{name}.json'), pipeline=pipeline)
        parts.append(part | dict(classes=classes))
    data = build_dataset(dict(type='ConcatDataset', datasets=parts))
    report = report_mixture(data)
    assert [source.policies for source in report.sources] == [{'all': 1.0}, {'none': 0.75, 'all': 0.25}]
    assert [list(source.without_objects) for source in report.sources] == [[], ['dog']]
    first, second = report.advice
    assert first.startswith("part: 38% of the images of an epoch have negatives='none'")
    assert second.startswith('part: no object is of dog')
    parts[1]['pipeline'].append(dict(type='AddFieldToImgMetas', fields=[LABELED_CLASSES], values=[['cat']]))
    declared = report_mixture(build_dataset(dict(type='ConcatDataset', datasets=parts)), source_ratio=[7, 1])
    assert declared.sources[1].unlabeled == ['dog'] and declared.advice == []


def test_annotations_that_cannot_be_asked_for_give_no_advice():
    class Images:
        CLASSES = ('cat', 'dog')

    assert classes_with_objects(Images()) == {'cat', 'dog'}
