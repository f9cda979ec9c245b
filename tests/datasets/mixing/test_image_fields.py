"""The argument `directives` of data sets and wrappers."""

import copy

import pytest
from coco_files import coco_content

from mmdet.core.directives import IGNORE_NEGATIVES, LABELED_CLASSES, NEGATIVES, RPN_HEAD, loss_weight_key
from mmdet.datasets import audit_dataset, build_dataset
from mmdet.datasets.mixing.image_fields import add_directives, directive_steps, fields_of_image
from mmdet.datasets.mixing.partial_labels import unlabelled_of_images
from mmdet.datasets.mixing.report import report_mixture

RPN = loss_weight_key(RPN_HEAD)
PIPELINE = [
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Collect', keys=['gt_bboxes'], meta_keys=[]),
]
STEP = dict(type='AddFieldToImgMetas', fields=[RPN, 'mine'], values=[3.0, 'x'])
DIRECTIVES = {NEGATIVES: 'overlap', LABELED_CLASSES: ['cat'], RPN: 0.5}
RESOLVED = {**DIRECTIVES, LABELED_CLASSES: [0]}


@pytest.fixture
def source(write_coco):
    """Config of a data set of two images with cats; the second has a weight of its own in its entry."""
    content = coco_content([[(5, 0, 0, 9, 9)]] * 2)
    content['images'][1][RPN] = 0.25
    path = write_coco(content)
    return dict(type='CocoDataset', ann_file=path, classes=('cat', 'dog'), pipeline=PIPELINE)


def metas(dataset, idx=0):
    return dataset[idx]['img_metas'].data


def test_directives_are_what_a_last_step_gives(source):
    as_step = [*PIPELINE, dict(type='AddFieldToImgMetas', fields=list(DIRECTIVES), values=list(DIRECTIVES.values()))]
    before = copy.deepcopy(source)
    assert metas(build_dataset({**source, 'directives': DIRECTIVES})) == RESOLVED
    assert metas(build_dataset({**source, 'pipeline': as_step})) == RESOLVED
    assert source == before


def test_directives_count_more_than_steps_of_the_pipeline(source):
    built = build_dataset({**source, 'pipeline': [*PIPELINE, STEP], 'directives': {RPN: 0.5}})
    assert metas(built) == {RPN: 0.5, 'mine': 'x'}
    assert fields_of_image(directive_steps(built), None) == metas(built)


def test_entry_of_the_image_goes_before_the_value_for_all(source):
    built = build_dataset({**source, 'directives': {RPN: 2.0, IGNORE_NEGATIVES: 1}, 'from_img_info': [RPN]})
    assert metas(built, 0) == {RPN: 2.0, IGNORE_NEGATIVES: 1}
    assert metas(built, 1) == {RPN: 0.25, IGNORE_NEGATIVES: 1}
    with pytest.raises(KeyError, match='has no .* in its entry and there is no default'):
        build_dataset({**source, 'from_img_info': [RPN]})[0]


@pytest.mark.parametrize(
    'wrapper',
    [dict(type='RepeatDataset', times=2), dict(type='ClassBalancedDataset', oversample_thr=0.1)],
    ids=lambda cfg: cfg['type'],
)
def test_wrapper_hands_directives_on_to_images_that_do_not_say_them(source, wrapper):
    inner = {**source, 'directives': {RPN: 0.5}}
    built = build_dataset({**wrapper, 'dataset': inner, 'directives': {RPN: 9.0, NEGATIVES: 'soft'}})
    assert metas(built) == {RPN: 0.5, NEGATIVES: 'soft'}


def test_joined_data_sets_keep_their_own_and_share_the_wrappers(source):
    parts = [{**source, 'name': 'a', 'directives': {RPN: 0.5}}, {**source, 'name': 'b'}]
    built = build_dataset(dict(type='ConcatDataset', datasets=parts, directives={RPN: 2.0}))
    assert [metas(built, i)[RPN] for i in (0, 2)] == [0.5, 2.0]
    assert [source.weights[RPN_HEAD] for source in report_mixture(built).sources] == [0.5, 2.0]


def test_directives_of_mixed_images_travel_through_the_mixing(source, monkeypatch):
    first, second = ({**source, 'pipeline': PIPELINE[:1], 'directives': {RPN: w, 'mine': 1}} for w in (3.0, 1.0))
    load = [dict(type='LoadImageFromFile'), *PIPELINE[:1]]
    steps = [dict(type='MixUp', img_scale=(48, 48), ratio_range=(1, 1), flip_ratio=0), *PIPELINE[1:]]
    parts = [{**part, 'pipeline': load} for part in (first, second)]
    built = build_dataset(
        dict(type='MultiImageMixDataset', dataset=dict(type='ConcatDataset', datasets=parts), pipeline=steps)
    )
    leaf = built.dataset.datasets[0]
    assert leaf.pipeline.transforms[-1](dict(img=0)) == dict(img=0, directives={RPN: 3.0, 'mine': 1})


def test_audit_and_evaluation_see_them(source, capsys):
    built = build_dataset({**source, 'directives': DIRECTIVES})
    audit_dataset(built, sample_files=0)
    assert f'{RPN_HEAD} 0.5, {NEGATIVES} overlap, 1 {LABELED_CLASSES}' in capsys.readouterr().out
    assert unlabelled_of_images(built) == [[1], [1]]


@pytest.mark.parametrize(
    ('directives', 'message'),
    [
        ({RPN + 's': 1}, 'did you mean'),
        ({RPN: -1}, 'finite number >= 0'),
        ({LABELED_CLASSES: ['cta']}, "'cta'.*did you mean 'cat'"),
    ],
)
def test_wrong_directives_are_named_when_the_data_set_is_built(source, directives, message):
    with pytest.raises(ValueError, match=message):
        build_dataset({**source, 'directives': directives})


def test_data_set_without_a_pipeline_cannot_have_them():
    with pytest.raises(TypeError, match='list has no pipeline of steps'):
        add_directives([1], {RPN: 1})
