"""Which classes the images of LVIS and Open Images speak about: lists by hand, their way, and evaluation with them."""

import json

import numpy as np
import pytest
from coco_files import coco_content

from mmdet.datasets import LVISV1Dataset, OpenImagesDataset
from mmdet.datasets.audit.audit import audit_dataset
from mmdet.datasets.audit.directives import describe_directives, value_counts
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.mixing.partial_labels import unlabelled_of_images
from mmdet.datasets.mixing.verified_classes import lvis_verified, open_images_verified

LABELED = 'labeled_classes'
NAMES = ('cat', 'dog', 'cow', 'pig')
CATEGORIES = [dict(id=5 + i, name=name, frequency='f') for i, name in enumerate(NAMES)]
READ = dict(type='AddFieldToImgMetas', from_img_info=[LABELED])
COLLECT = dict(type='Collect', keys=[], meta_keys=())
# animal > cat; animal > dog > puppy; car stands alone: column j of row i is whether j is i or above it
ANCESTORS = np.asarray([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 1]], bool)
ANIMAL, CAT, DOG, PUPPY, CAR = range(5)


def lvis_content():
    """A cat and cows, of which some have no box, with dogs looked for in vain; then cats looked for in vain."""
    content = coco_content([[(5, 0, 0, 20, 20), (7, 30, 10, 20, 20)], []], categories=CATEGORIES)
    for image, negative, partly in zip(content['images'], ([6], [5]), ([7], [])):
        image |= dict(neg_category_ids=negative, not_exhaustive_category_ids=partly)
    return content


@pytest.fixture
def lvis(write_coco):
    def make(content=None, pipeline=(COLLECT, READ), cls=LVISV1Dataset, **kwargs):
        options = dict(classes=NAMES, verified_classes=True, filter_empty_gt=False) | kwargs
        return cls(write_coco(content or lvis_content()), list(pipeline), **options)

    return make


@pytest.fixture
def open_images(tmp_path):
    """Two images: a cat and a puppy, with two dogs or none; cars were looked for in vain in the first."""

    def make(labels='x,s,/m/v,0\ny,s,/m/a,0\nx,s,/m/a,0.7\n', **kwargs):
        (tmp_path / 'classes.csv').write_text('/m/a,Animal\n/m/c,Cat\n/m/d,Dog\n/m/p,Puppy\n/m/v,Car\n')
        head = 'ImageID,LabelName,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n'
        boxes = 'x,/m/c,0.1,0.3,0.2,0.6,0,0,0,0,0\nx,/m/p,0.5,0.9,0.2,0.8,0,0,0,0,0\ny,/m/v,0,1,0,1,0,0,0,0,0\n'
        (tmp_path / 'boxes.csv').write_text(head + boxes)
        (tmp_path / 'labels.csv').write_text('ImageID,Source,LabelName,Confidence\n' + labels)
        dog = dict(LabelName='/m/d', Subcategory=[dict(LabelName='/m/p')])
        tree = [dict(LabelName='/m/a', Subcategory=[dict(LabelName='/m/c'), dog]), dict(LabelName='/m/v')]
        (tmp_path / 'tree.json').write_text(json.dumps(dict(LabelName='all', Subcategory=tree)))
        files = dict(label_file='classes.csv', hierarchy_file='tree.json', image_level_ann_file='labels.csv')
        options = files | dict(data_root=str(tmp_path), verified_classes=True, pipeline=[COLLECT, READ]) | kwargs
        return OpenImagesDataset('boxes.csv', **options)

    return make


def lists_of(dataset):
    """What reaches ``img_metas``."""
    return [dataset.pipeline(dict(img_info=info))['img_metas'].data[LABELED] for info in dataset.data_infos]


def test_lvis_image_speaks_of_what_was_found_or_not_without_what_is_boxed_in_part():
    image = dict(id=1, neg_category_ids=[9, 2], not_exhaustive_category_ids=[4, 9])
    assert lvis_verified(image, {4, 7}) == [2, 7]
    assert lvis_verified(dict(image, neg_category_ids=[], not_exhaustive_category_ids=[]), ()) == []
    with pytest.raises(ValueError, match='image 3 has no not_exhaustive_category_ids, which say'):
        lvis_verified(dict(id=3, neg_category_ids=[]), ())


def test_lists_of_lvis_reach_the_images_as_labels(lvis):
    assert [info[LABELED] for info in lvis().data_infos] == [[5, 6], [5]]
    assert lists_of(lvis()) == [[0, 1], [0]]
    assert lists_of(lvis(classes=('dog', 'cat'))) == [[1, 0], [1]]
    assert lists_of(lvis(classes=('dog',), test_mode=True, share_annotations=True)) == [[0], []]
    assert LABELED not in lvis(verified_classes=False, pipeline=()).data_infos[0]
    content = lvis_content()
    del content['images'][1]['neg_category_ids']
    with pytest.raises(ValueError, match='image 2 has no neg_category_ids'):
        lvis(content)


@pytest.mark.parametrize(
    ('boxed', 'verified', 'expected'),
    [
        ([], [], []),
        ([CAT], [], [CAT]),  # that animals are there, too, does not mean that all of them have a box
        ([], [(ANIMAL, 1.0)], [ANIMAL]),  # nothing is known of what is below
        ([], [(DOG, 0.0)], [DOG, PUPPY]),  # nothing is known of other animals
        ([CAT], [(DOG, 0.0), (CAR, 1.0), (ANIMAL, 1.0)], [ANIMAL, CAT, DOG, PUPPY, CAR]),
        ([], [(DOG, 0.3), (CAR, 0.9)], []),  # a machine's guesses
        ([PUPPY], [(DOG, 0.0), (CAT, 0.0)], [CAT, PUPPY]),  # a puppy is a dog, so that one word is wrong
    ],
)
def test_open_images_by_hand(boxed, verified, expected):
    assert open_images_verified(boxed, verified, ANCESTORS) == expected


def test_lists_of_open_images_reach_the_images(open_images):
    assert lists_of(open_images()) == [[CAT, PUPPY, CAR], [ANIMAL, CAT, DOG, PUPPY, CAR]]
    assert lists_of(open_images(hierarchy_file=None, get_supercategory=False)) == [[CAT, PUPPY, CAR], [ANIMAL, CAR]]
    assert LABELED not in open_images(verified_classes=False).data_infos[0]
    with pytest.raises(ValueError, match='verified_classes=True needs image_level_ann_file'):
        open_images(image_level_ann_file='')


def test_merged_category_is_annotated_where_all_its_parts_are(write_coco):
    content = coco_content([[(5, 0, 0, 9, 9)]] * 5, categories=CATEGORIES[:3])
    said = ({LABELED: [5, 6]}, {LABELED: [5, 7]}, {LABELED: ['cat', 'dog']}, {LABELED: ['pet', 7]})
    for image, fields in zip(content['images'], (*said, {'unlabeled_classes': ['dog']})):
        image |= fields
    leaf = dict(type='CocoDataset', ann_file=write_coco(content), pipeline=[], rename=dict(cat='pet', dog='pet'))
    dataset = build_dataset(dict(leaf, classes=('pet', 'cow'), test_mode=True))
    assert unlabelled_of_images(dataset) == [[1], [0], [1], [], [0]]


def test_merged_categories_of_lvis(lvis):
    content = lvis_content()
    for image in content['images']:
        image['neg_category_ids'].append(8)
    classes = dict(classes=('pet', 'beast'), rename=dict(cat='pet', dog='pet', cow='beast', pig='beast'))
    # cow is boxed in part, pig absent; of the second image's pets only cats were looked for, of the beasts only pigs
    assert lists_of(lvis(content, **classes)) == [[0], []]


def test_audit_counts_the_lists_and_finds_what_nothing_reads(lvis):
    assert describe_directives(lvis(), {LABELED}) == ('labeled_classes: [0, 1] (1), [0] (1)', [])
    _, (problem,) = describe_directives(lvis(), {'ignore_negatives'})
    assert "nothing in the model reads 'labeled_classes'" in problem
    lengths = [[0], [1], [2], [3], [4, 5], [], [6]]
    assert value_counts(LABELED, lengths) == 'labeled_classes: 1 class (5), 2 classes (1), 0 classes (1)'


@pytest.mark.parametrize('kind', ['lvis', 'open_images'])
def test_list_that_no_step_reads_is_a_problem_of_a_training_set(kind, request):
    make = request.getfixturevalue(kind)
    report = audit_dataset(make(), sample_files=0, logger='silent')
    assert 'labeled_classes' in report.parts[0].directives
    _, (problem,) = describe_directives(make(pipeline=[COLLECT]))
    assert "Add dict(type='AddFieldToImgMetas', from_img_info=['labeled_classes'])" in problem
    assert describe_directives(make(pipeline=[COLLECT], test_mode=True)) == ('-', [])
    assert describe_directives(make(pipeline=[COLLECT], verified_classes=False)) == ('-', [])


def results_of(dataset, **extra):
    """All objects with score 0.9, and in the first image further detections at (40, 20, 60, 40) with 0.95."""
    results = []
    for i in range(len(dataset)):
        info = dataset.get_ann_info(i)
        dets = np.column_stack([info['bboxes'], np.full(len(info['labels']), 0.9)]).astype(np.float32)
        results.append([dets[info['labels'] == label] for label in range(len(NAMES))])
    for name in extra.get('false', ()):
        results[0][NAMES.index(name)] = np.asarray([[40, 0, 60, 9, 0.95], *results[0][NAMES.index(name)]], np.float32)
    return results


def test_lvis_figures_are_restricted_already_but_for_classes_that_are_boxed_in_part(lvis):
    dataset = lvis(test_mode=True, pipeline=())

    def figure(labeled_only, **extra):
        found = LVISV1Dataset.evaluate(
            dataset, results_of(dataset, **extra), logger='silent', labeled_only=labeled_only
        )
        return found['bbox_AP']

    # a pig was not looked for; more cows may be there; a cat is not
    assert figure(False, false=['pig', 'cow']) == figure(True, false=['pig', 'cow']) == 1
    assert figure(False, false=['cat']) == 0.75 and figure(True, false=['cat']) == 0.5
    missed = results_of(dataset)
    missed[0][2] = missed[0][2][:0]  # the cow that has a box
    figures = [dataset.evaluate(missed, logger='silent', labeled_only=only)['bbox_AP'] for only in (False, True)]
    assert figures == [0.5, 1.0]


def test_coco_figures_with_lists_of_lvis(lvis):
    dataset = lvis(test_mode=True, pipeline=())

    def figure(labeled_only, false):
        results = results_of(dataset, false=false)
        return CocoDataset.evaluate(dataset, results, logger='silent', labeled_only=labeled_only)['bbox_mAP']

    assert figure(False, ['cow']) == pytest.approx(0.75) and figure(True, ['cow']) == pytest.approx(1)
    assert figure(True, ['cat']) == pytest.approx(0.5)
    proposals = [np.asarray([[0, 0, 20, 20, 0.9]], np.float32), np.zeros((0, 5), np.float32)]
    recalls = [
        dataset.evaluate(proposals, 'proposal_fast', 'silent', labeled_only=only)['AR@100'] for only in (False, True)
    ]
    assert recalls == pytest.approx([0.5, 1.0])


def test_open_images_leaves_out_detections_of_what_was_not_looked_for(open_images):
    dataset = open_images(meta_file='', hierarchy_file=None, get_supercategory=False, test_mode=True)
    dataset.test_img_shapes = {'x.jpg': (10, 10), 'y.jpg': (10, 10)}
    annotations = [dataset.get_ann_info(i) for i in range(2)]
    everywhere = [[np.ones((1, 5), np.float32)] * 5] * 2
    kept = dataset.process_results(everywhere, annotations, dataset.get_image_level_ann(dataset.image_level_ann_file))
    looked_for = [[label for label, dets in enumerate(image) if len(dets)] for image in kept]
    assert looked_for[1] == dataset.data_infos[1][LABELED]
    assert looked_for[0] == sorted([*dataset.data_infos[0][LABELED], ANIMAL])  # a machine's guess is a label there
