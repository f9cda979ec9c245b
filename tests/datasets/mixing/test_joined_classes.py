"""Data sets with different categories in one ConcatDataset."""

import json
import logging

import mmcv
import numpy as np
import pytest
from coco_files import coco_content
from numpy.testing import assert_array_equal

from mmdet.core.directives import LABELED_CLASSES
from mmdet.datasets.audit.audit import audit_dataset
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.mixing.label_spaces import labels_of_names, relabel_annotations
from mmdet.datasets.mixing.report import unlabeled_names
from mmdet.datasets.mixing.sources import find_sources

PIPELINE = [
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Collect', keys=['gt_bboxes', 'gt_labels'], meta_keys=[]),
]
CLASSES = ['person', 'car']


def names(*pairs):
    return [dict(id=number, name=name) for number, name in pairs]


@pytest.fixture
def mixed(tmp_path):
    """Config of `real` (person 1, car 2, dog 3) and `synthetic` (van 4, automobile 9), one image each."""
    real = coco_content(
        [[(2, 0, 0, 9, 9), (3, 5, 5, 9, 9), (1, 1, 1, 5, 5)]], categories=names((1, 'person'), (2, 'car'), (3, 'dog'))
    )
    synthetic = coco_content([[(9, 0, 0, 9, 9), (4, 2, 2, 9, 9)]], categories=names((4, 'van'), (9, 'automobile')))
    parts = []
    for name, content in (('real', real), ('synthetic', synthetic)):
        path = tmp_path / f'{name}.json'
        path.write_text(json.dumps(content))
        parts.append(dict(type='CocoDataset', ann_file=str(path), pipeline=PIPELINE, name=name))
    rename = dict(automobile='car', van='car')
    return dict(type='ConcatDataset', classes=CLASSES, rename=rename, datasets=parts)


def test_categories_are_matched_by_name_and_missing_ones_are_unlabelled(mixed, caplog):
    logging.getLogger('mmdet').propagate = True
    with caplog.at_level('INFO', 'mmdet'):
        joint = build_dataset(mixed)
    assert joint.CLASSES == CLASSES
    assert_array_equal(joint.get_ann_info(0)['labels'], [1, 0])  # dog is not used
    assert_array_equal(joint.get_ann_info(1)['labels'], [1, 1])
    assert joint[0]['img_metas'].data == dict(source='real')
    metas = joint[1]['img_metas'].data
    assert set(metas) == {'source', LABELED_CLASSES} and metas['source'] == 'synthetic'
    assert unlabeled_names(metas, CLASSES) == ['person']
    assert '| person | yes  | no: unlabeled |' in caplog.text and '| car    | yes  | yes' in caplog.text
    assert find_sources(joint).names == ['real', 'synthetic']
    audit_dataset(joint, num_classes=2, sample_files=0, logger='silent')


def test_config_may_say_that_a_missing_class_is_not_there(mixed):
    joint = build_dataset({**mixed, 'missing_classes': dict(synthetic='annotated')})
    assert joint[1]['img_metas'].data == dict(source='synthetic')
    step = dict(type='AddFieldToImgMetas', fields=[LABELED_CLASSES], values=[['person']])
    mixed['datasets'][1]['pipeline'] = [*PIPELINE, step]
    assert unlabeled_names(build_dataset(mixed)[1]['img_metas'].data, CLASSES) == ['car']


def test_classes_of_a_source_are_names_of_its_own_file(mixed):
    mixed['datasets'][1]['classes'] = ['automobile']
    joint = build_dataset(mixed)
    assert_array_equal(joint.get_ann_info(1)['labels'], [1])  # without the van
    mixed['datasets'][1]['classes'] = ['automobil']
    with pytest.raises(ValueError, match="no category 'automobil'; did you mean 'automobile'"):
        build_dataset(mixed)


def test_each_source_is_evaluated_with_the_common_labels_under_its_name(mixed):
    joint = build_dataset(mixed, dict(test_mode=True))
    nothing = np.zeros((0, 5))
    right = [
        [np.array([[1, 1, 6, 6, 0.9]]), np.array([[0, 0, 9, 9, 0.9]])],
        [nothing, np.array([[0, 0, 9, 9, 0.9], [2, 2, 11, 11, 0.8]])],
    ]
    figures = joint.evaluate(right, metric='bbox', logger='silent')
    assert figures['real_bbox_mAP_50'] == figures['synthetic_bbox_mAP_50'] == 1
    right[1][1] = right[1][1][:1]  # the van is a car that was not found
    assert joint.evaluate(right, metric='bbox', logger='silent')['synthetic_bbox_mAP_50'] == pytest.approx(
        0.5, abs=0.01
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(classes=['person', 'car', 'bus']), "no data set has the class 'bus'"),
        (dict(rename=dict(van='cra')), "'van' becomes 'cra', which is none of the classes; did you mean 'car'"),
        (dict(missing_classes='unlabelled'), 'expected one of unlabeled, annotated'),
        (
            dict(missing_classes=dict(sinthetic='annotated')),
            "no data set is called 'sinthetic'; did you mean 'synthetic'",
        ),
    ],
)
def test_wrong_names_are_errors(mixed, change, message):
    with pytest.raises(ValueError, match=message):
        build_dataset({**mixed, **change})


def test_two_data_sets_of_one_name_are_an_error(mixed):
    mixed['datasets'][1]['name'] = 'real'
    with pytest.raises(ValueError, match="have the name 'real'"):
        build_dataset(mixed)


def test_wrapped_sources_keep_their_names_and_owners(mixed):
    mixed['datasets'][1] = dict(type='RepeatDataset', times=3, dataset=mixed['datasets'][1])
    joint = build_dataset(dict(type='RepeatDataset', times=2, dataset=mixed))
    assert_array_equal(find_sources(joint).owner, [0, 1, 1, 1] * 2)
    assert joint[7]['img_metas'].data['source'] == 'synthetic'


def test_numbered_labels_are_mapped_by_the_names_that_they_stand_for(tmp_path):
    ann = dict(bboxes=np.eye(4, dtype=np.float32) * 9 + [0, 0, 9, 9], labels=np.array([2, 0, 1, 2]))
    infos = [
        dict(filename='a', width=64, height=64, ann=ann),
        dict(filename='b', width=64, height=64, ann=dict(bboxes=[], labels=[])),
    ]
    mmcv.dump(infos, str(tmp_path / 'a.pkl'))
    leaf = dict(type='CustomDataset', ann_file=str(tmp_path / 'a.pkl'), pipeline=PIPELINE, filter_empty_gt=False)
    joint = build_dataset(
        dict(
            type='ConcatDataset',
            classes=CLASSES,
            rename=dict(auto='car'),
            datasets=[{**leaf, 'classes': ['dog', 'person', 'auto']}],
        )
    )
    assert_array_equal(joint.get_ann_info(0)['labels'], [1, 0, 1])
    assert_array_equal(joint.get_ann_info(0)['bboxes'], ann['bboxes'][[0, 2, 3]])
    assert joint.get_ann_info(1)['bboxes'].shape == (0, 4)
    with pytest.raises(ValueError, match='names of the categories are not known'):
        build_dataset({**leaf, 'classes': CLASSES, 'rename': dict(auto='car')})


def test_labels_of_names_drop_what_is_not_used():
    assert labels_of_names(['a', 'b'], {'x': 'b', 'a': None}) == {'b': 1, 'x': 1}
    assert labels_of_names(['a', 'b'], {'x': 'b'}, ['x', 'q']) == {'x': 1}


def test_relabelling_refuses_labels_without_a_name():
    with pytest.raises(ValueError, match='label 3: source_classes has names for labels 0 ... 1 only'):
        relabel_annotations([dict(bboxes=np.zeros((1, 4)), labels=[3])], np.array([0, -1]))
