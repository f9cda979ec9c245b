"""Open Images: files, the hierarchy of classes, and evaluation, all on hand-made data."""

import io
import json

import cv2
import numpy as np
import pytest
from mmcv.parallel import DataContainer
from numpy.testing import assert_allclose, assert_array_equal

from mmdet.datasets import OpenImagesChallengeDataset, OpenImagesDataset, audit_dataset, build_dataset
from mmdet.datasets.formats import openimages_files as files
from mmdet.datasets.metrics.openimages_metrics import expand_and_filter, with_ancestors

# animal > cat; animal > dog > puppy; car stands alone
CLASSES = '/m/a,Animal\n/m/c,Cat\n/m/d,Dog\n/m/p,Puppy\n/m/v,Car\n'
LABELS = ('Animal', 'Cat', 'Dog', 'Puppy', 'Car')
TREE = dict(
    LabelName='/m/0bl9f',
    Subcategory=[
        dict(
            LabelName='/m/a',
            Subcategory=[dict(LabelName='/m/c'), dict(LabelName='/m/d', Subcategory=[dict(LabelName='/m/p')])],
        ),
        dict(LabelName='/m/v', Part=[dict(LabelName='/m/c')]),
    ],
)
ANCESTORS = np.asarray([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 1]], bool)
HEAD = 'ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n'
# image x is 100 x 50 px, image y 60 x 40; rows of one image need not follow each other
BOXES = (
    'x,s,/m/c,1,0.1,0.3,0.2,0.6,0,1,0,0,0\n'
    'y,s,/m/v,1,0.5,1.0,0.5,1.0,0,0,1,-1,0\n'
    'x,s,/m/p,1,0.5,0.9,0.2,0.8,1,0,0,0,0\n'
)
IMAGE_LABELS = 'ImageID,Source,LabelName,Confidence\nx,verification,/m/v,0\ny,verification,/m/c,1\n'
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True, denorm_bbox=True)]


@pytest.fixture
def folder(tmp_path):
    for name, text in {
        'classes.csv': CLASSES,
        'boxes.csv': HEAD + BOXES,
        'labels.csv': IMAGE_LABELS,
        'tree.json': json.dumps(TREE),
    }.items():
        (tmp_path / name).write_text(text)
    for name, (width, height) in {'x': (100, 50), 'y': (60, 40)}.items():
        cv2.imwrite(str(tmp_path / f'{name}.jpg'), np.zeros((height, width, 3), np.uint8))
    return tmp_path


def build(folder, **kwargs):
    options = dict(label_file='classes.csv', hierarchy_file='tree.json', image_level_ann_file='labels.csv')
    options |= dict(pipeline=LOAD, data_root=str(folder), img_prefix='') | kwargs
    return OpenImagesDataset(options.pop('ann_file', 'boxes.csv'), **options)


def dets(*rows):
    return np.asarray(rows, np.float32).reshape(-1, 5)


def results_of(**per_class):
    """Detections of one image from those of some classes."""
    return [per_class.get(name, dets()) for name in LABELS]


def test_boxes_are_sorted_by_image_and_keep_their_flags(folder):
    dataset = build(folder)
    assert tuple(dataset.CLASSES) == LABELS
    assert [info['filename'] for info in dataset.data_infos] == ['x.jpg', 'y.jpg']
    ann = dataset.get_ann_info(0)
    assert_allclose(ann['bboxes'], [[0.1, 0.2, 0.3, 0.6], [0.5, 0.2, 0.9, 0.8]])
    assert ann['labels'].tolist() == [1, 3] == dataset.get_cat_ids(0)
    assert ann['is_truncateds'].tolist() == [True, False] == (~ann['is_occludeds']).tolist()
    assert dataset.get_ann_info(1)['gt_is_group_ofs'].tolist() == [True]
    assert not dataset.get_ann_info(1)['is_depictions'].any()  # -1: unknown


def test_training_gives_boxes_in_pixels(folder):
    results = build(folder)[0]
    assert_allclose(results['gt_bboxes'], [[10, 10, 30, 30], [50, 10, 90, 40]])
    assert results['gt_is_group_ofs'].tolist() == [False, False]
    assert build(folder).flag.tolist() == [0, 0]


def test_boxes_without_area_are_not_trained_on(folder):
    (folder / 'boxes.csv').write_text(HEAD + BOXES + 'x,s,/m/c,1,0.4,0.4,0.2,0.6,0,0,0,0,0\n')
    assert len(build(folder).get_ann_info(0)['labels']) == 3
    assert build(folder)[0]['gt_labels'].tolist() == [1, 3]


def test_hierarchy_has_all_ancestors_and_no_parts(folder):
    assert_array_equal(build(folder).class_label_tree, ANCESTORS)
    nearest = files.ancestors_from_tree(TREE, np.zeros((5, 5)), build(folder).index_dict, get_all_parents=False)
    assert np.argwhere(nearest).tolist() == [[1, 0], [2, 0], [3, 2]]
    some = {'/m/a': 0, '/m/p': 1}  # dogs left out: a puppy still is an animal
    assert files.ancestors_from_tree(TREE, np.zeros((2, 2)), some).tolist() == [[0, 0], [1, 0]]


def test_annotations_get_a_box_for_each_ancestor(folder):
    ann = with_ancestors(build(folder).get_ann_info(0), ANCESTORS)
    assert ann['labels'].tolist() == [0, 1, 0, 2, 3]
    assert_allclose(ann['bboxes'][:, 0], [0.1, 0.1, 0.5, 0.5, 0.5])
    empty = with_ancestors(dict(bboxes=np.zeros((0, 4)), labels=[], gt_is_group_ofs=[]), ANCESTORS)
    assert empty['bboxes'].shape == (0, 4) and empty['labels'].shape == (0,)


def test_detections_go_to_ancestors_that_were_looked_for():
    own = results_of(Puppy=dets([0, 0, 9, 9, 0.9]), Dog=dets([0, 0, 5, 5, 0.8]), Car=dets([1, 1, 2, 2, 0.7]))
    out = expand_and_filter(own, np.asarray([0, 2]), ANCESTORS)
    assert [(d[:, 4] * 10).round().tolist() for d in out] == [[8, 9], [], [8, 9], [], []]
    assert [len(d) for d in expand_and_filter(own, np.asarray([0, 2]), ANCESTORS, expand=False)] == [0, 0, 1, 0, 0]
    kept = expand_and_filter(own, np.asarray([0, 2]), ANCESTORS, drop_unknown=False)
    assert [len(d) for d in kept] == [2, 0, 2, 1, 1]
    assert [len(d) for d in own] == [0, 0, 1, 1, 1]  # as before


CAT, PUPPY = [10, 10, 30, 30, 0.9], [50, 10, 90, 40, 0.9]
IN_GROUP = [[30, 20, 40, 30, 0.8], [45, 25, 60, 40, 0.7]]  # two cars inside the group's box


def test_perfect_result_has_ap_1_and_a_group_counts_once(folder):
    results = [results_of(Cat=dets(CAT), Puppy=dets(PUPPY)), results_of(Car=dets(*IN_GROUP))]
    dataset = build(folder, test_mode=True)
    assert dataset.evaluate(results, logger='silent') == {'AP50': 1.0, 'mAP': 1.0}
    # without groups the box of the group is an object, which neither car overlaps enough
    assert dataset.evaluate(results, logger='silent', use_group_of=False)['mAP'] == pytest.approx(4 / 5)


def test_share_of_a_detection_inside_a_group_decides(folder):
    half = [results_of(Cat=dets(CAT), Puppy=dets(PUPPY)), results_of(Car=dets([20, 20, 40, 40, 0.9]))]
    dataset = build(folder, test_mode=True)
    out = dataset.evaluate(half, logger='silent', iou_thr=[0.5, 0.6], ioa_thr=[0.4, 0.6])
    assert out['AP50'] == 1.0 and out['AP60'] == 0.8
    assert out['mAP'] == pytest.approx(0.9)


def test_classes_that_nobody_looked_for_do_not_count(folder):
    # x was checked for cars (none there), not so y for dogs
    results = [results_of(Cat=dets(CAT), Puppy=dets(PUPPY)), results_of(Car=dets(*IN_GROUP), Dog=dets([0, 0, 9, 9, 1]))]
    dataset = build(folder, test_mode=True)
    assert dataset.evaluate(results, logger='silent')['mAP'] == 1.0
    results[0][4] = dets([0, 0, 9, 9, 0.95])
    assert dataset.evaluate(results, logger='silent')['mAP'] == pytest.approx((4 + 0.5) / 5)
    unchecked = build(folder, test_mode=True, load_image_level_labels=False)
    assert unchecked.evaluate(results, logger='silent')['mAP'] == 1.0
    everything = build(folder, test_mode=True, filter_labels=False)
    assert everything.evaluate(results, logger='silent')['mAP'] < 0.9


def test_sizes_come_from_the_meta_file_or_the_images(folder):
    shapes = [(50, 100), (40, 60)]
    assert build(folder, test_mode=True).get_img_shape(build(folder).data_infos) == shapes
    metas = [dict(filename='a/x.jpg', ori_shape=(5, 10, 3)), dict(filename='a/y.jpg', ori_shape=(4, 6, 3))]
    (folder / 'metas.json').write_text(json.dumps(metas))
    dataset = build(folder, test_mode=True, meta_file='metas.json')
    small = [
        results_of(Cat=dets([1, 1, 3, 3, 0.9]), Puppy=dets([5, 1, 9, 4, 0.9])),
        results_of(Car=dets([3, 2, 6, 4, 1])),
    ]
    assert dataset.evaluate(small, logger='silent')['mAP'] == 1.0
    collect = dict(type='Collect', keys=['img'], meta_keys=['ori_filename', 'ori_shape'])
    piped = build(folder, test_mode=True, load_from_file=False, pipeline=[LOAD[0], collect])
    assert piped[1] and piped.test_img_shapes == {'y.jpg': (40, 60)}


CHALLENGE_CLASSES = '/m/d,Dog,2\n/m/a,Animal,1\n'
CHALLENGE_BOXES = 'x.jpg\n3\n2\n2 0.1 0.2 0.3 0.6 0\n1 0.5 0.2 0.9 0.8 1\ny.jpg\n3\n0\n'


@pytest.mark.parametrize('extra', [0, 1])
def test_challenge(folder, extra):
    (folder / 'classes.csv').write_text(CHALLENGE_CLASSES)
    (folder / 'boxes.txt').write_text(CHALLENGE_BOXES)
    matrix = np.zeros((2 + extra, 2 + extra))
    matrix[1 + extra, extra] = 1
    with open(folder / 'tree.np', 'wb') as file:
        np.save(file, matrix)
    dataset = OpenImagesChallengeDataset(
        'boxes.txt',
        label_file='classes.csv',
        hierarchy_file='tree.np',
        load_image_level_labels=False,
        data_root=str(folder),
        img_prefix='',
        pipeline=LOAD,
        filter_empty_gt=False,
    )
    assert dataset.CLASSES == ['Animal', 'Dog'] and len(dataset) == 2
    assert dataset.get_ann_info(0)['labels'].tolist() == [1, 0] and len(dataset.get_ann_info(1)['labels']) == 0
    assert dataset.class_label_tree.tolist() == [[True, False], [True, True]]
    group, dog = [50, 10, 70, 40, 0.8], [10, 10, 30, 30, 0.9]
    results = [[dets(group), dets(dog)], [dets(), dets()]]
    assert dataset.evaluate(results, logger='silent')['mAP'] == 1.0


def test_images_without_a_box_are_left_out_in_training(folder):
    (folder / 'classes.csv').write_text(CHALLENGE_CLASSES)
    (folder / 'boxes.txt').write_text(CHALLENGE_BOXES)
    dataset = OpenImagesChallengeDataset(
        'boxes.txt', label_file='classes.csv', data_root=str(folder), pipeline=[], get_supercategory=False
    )
    assert [info['filename'] for info in dataset.data_infos] == ['x.jpg']
    assert dataset.filtered == {'without an object': 1}


@pytest.mark.parametrize(
    ('file', 'text', 'message'),
    [
        ('boxes.csv', HEAD.replace('YMax', 'Y'), 'there is no column YMax'),
        ('boxes.csv', HEAD + BOXES.replace('/m/v', '/m/vv'), "line 3: class '/m/vv' is not in the file of classes"),
        ('boxes.csv', HEAD + BOXES.replace('0.3', 'wide'), "line 2: could not convert string to float: 'wide'"),
        ('classes.csv', '/m/a\n', 'line 1: expected 2 columns'),
    ],
)
def test_faults_of_the_files_are_named(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        build(folder)


def test_faults_of_the_challenge_files_are_named():
    with pytest.raises(ValueError, match=r"f, block from line 1 \('x.jpg'\): expected 2 lines of a class from 1 to 1"):
        files.read_challenge_boxes(CHALLENGE_BOXES.splitlines(), 'f', 1)
    with pytest.raises(ValueError, match='expected the numbers 1 to 1'):
        files.read_challenge_classes(['/m/a,Animal,2'], 'f')
    with pytest.raises(ValueError, match=r'expected \(1, 1\)'):
        files.read_ancestors('t.npy', {'/m/a': 0}, _saved(np.eye(3)))
    with pytest.raises(ValueError, match='pickle'):
        files.read_ancestors('t.npy', {'/m/a': 0}, _saved(np.asarray([[object()]])))


def _saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_missing_files_are_asked_for(folder):
    results = [results_of()] * 2
    with pytest.raises(ValueError, match='needs image_level_ann_file'):
        build(folder, test_mode=True, image_level_ann_file='').evaluate(results, logger='silent')
    with pytest.raises(ValueError, match='needs hierarchy_file'):
        build(folder, hierarchy_file=None)
    assert build(folder, hierarchy_file=None, get_supercategory=False).class_label_tree is None
    with pytest.raises(ValueError, match='classes come from label_file'):
        build(folder, classes=('a',))
    with pytest.raises(FileNotFoundError, match='no.csv'):
        build(folder, label_file='no.csv')


def test_builds_from_a_config_and_passes_the_audit(folder):
    cfg = dict(type='OpenImagesDataset', ann_file='boxes.csv', label_file='classes.csv', pipeline=LOAD)
    cfg['get_supercategory'] = False
    report = audit_dataset(build_dataset(cfg | dict(data_root=str(folder), img_prefix='')), logger='silent')
    assert report.parts[0].per_class == dict(Animal=0, Cat=1, Dog=0, Puppy=1, Car=1)


def test_meta_information_of_tested_images_is_kept(folder):
    dataset = build(folder, test_mode=True, load_from_file=False, image_level_ann_file='not there.csv')
    assert dataset.test_img_metas == []
    dataset.get_meta_from_pipeline(dict(img_metas=DataContainer(dict(filename='x.jpg', ori_shape=(50, 100, 3)))))
    assert [meta['filename'] for meta in dataset.test_img_metas] == ['x.jpg']
    assert dataset.test_img_shapes == {'x.jpg': (50, 100)}
