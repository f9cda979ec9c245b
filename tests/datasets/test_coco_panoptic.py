"""Panoptic data sets."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdet.core.evaluation.panoptic_utils import id2rgb
from mmdet.datasets import build_dataset
from mmdet.datasets.api_wrappers import pq_compute_multi_core, pq_compute_single_core
from mmdet.datasets.coco_panoptic import COCOPanoptic, CocoPanopticDataset
from mmdet.utils.output_paths import OutputPathError

CATEGORIES = [
    dict(id=4, name='cat', isthing=1),
    dict(id=2, name='dog', isthing=1),
    dict(id=9, name='sky', isthing=0),
]
CLASSES = ['cat', 'dog', 'sky']
# image 1: a cat (11), a crowd of dogs (12), sky (13), two columns of void; image 2: sky (11) only
MAPS = {1: [(11, 10), (12, 20), (13, 32), (0, 2)], 2: [(11, 64)]}
KINDS = {1: {11: 4, 12: 2, 13: 9}, 2: {11: 9}}


def columns(runs):
    """(48, 64) picture of stripes: (value, columns) after another."""
    return np.tile(np.concatenate([np.full(n, value) for value, n in runs]), (48, 1))


def content():
    images = [dict(id=i, file_name=f'{i}.jpg', width=64, height=48) for i in MAPS]
    annotations = []
    for img_id, runs in MAPS.items():
        infos, left = [], 0
        for segment, width in runs:
            if segment:
                box, crowd = [left, 0, width, 48], int(segment == 12)
                cat = KINDS[img_id][segment]
                infos.append(dict(id=segment, category_id=cat, bbox=box, area=width * 48, iscrowd=crowd))
            left += width
        annotations.append(dict(image_id=img_id, file_name=f'{img_id}.png', segments_info=infos))
    return dict(images=images, annotations=annotations, categories=CATEGORIES)


def write_picture(path, ids):
    cv2.imwrite(str(path), np.ascontiguousarray(id2rgb(ids)[..., ::-1]))


@pytest.fixture
def make(tmp_path):
    """A function that builds the data set from files."""
    (tmp_path / 'pan.json').write_text(json.dumps(content()))
    for img_id, runs in MAPS.items():
        write_picture(tmp_path / f'{img_id}.png', columns(runs))
        cv2.imwrite(str(tmp_path / f'{img_id}.jpg'), np.zeros((48, 64, 3), np.uint8))

    def build(pipeline=(), **changes):
        return build_dataset(
            dict(
                type='CocoPanopticDataset', ann_file='pan.json', data_root=str(tmp_path), img_prefix='', seg_prefix='',
                classes=CLASSES, pipeline=list(pipeline),
            ) | changes
        )  # fmt: skip

    return build


def test_segments_of_images_do_not_mix(tmp_path):
    (tmp_path / 'pan.json').write_text(json.dumps(content()))
    coco = COCOPanoptic(str(tmp_path / 'pan.json'))
    assert [s['image_id'] for s in coco.load_anns([11, 12])] == [1, 2, 1]
    assert [s['id'] for s in coco.img_ann_map[2]] == [11]
    assert coco.cat_img_map[9] == [1, 2] and coco.get_cat_ids(cat_names=['dog']) == [2]


def test_annotations_tell_objects_crowds_and_stuff_apart(make):
    info = make(test_mode=True).get_ann_info(0)
    assert info['bboxes'].tolist() == [[0, 0, 10, 48]] and info['labels'].tolist() == [0]
    assert info['bboxes_ignore'].tolist() == [[10, 0, 30, 48]]
    assert info['masks'] == [
        dict(id=11, category=0, is_thing=True),
        dict(id=12, category=1, is_thing=False),
        dict(id=13, category=2, is_thing=False),
    ]
    assert info['seg_map'] == '1.png'


def test_images_without_things_are_left_out_of_training(make):
    assert [info['id'] for info in make().data_infos] == [1]
    assert len(make(filter_empty_gt=False)) == 2 and len(make(test_mode=True)) == 2


def test_loading_step_gives_masks_and_classes(make):
    loaded = make([dict(type='LoadImageFromFile'), dict(type='LoadPanopticAnnotations')])[0]
    assert loaded['gt_masks'].masks.sum((1, 2)).tolist() == [10 * 48]
    seg = loaded['gt_semantic_seg']
    assert [(seg == value).sum() // 48 for value in (0, 1, 2, 255)] == [10, 20, 32, 2]


PERFECT = [columns([(1000, 10), (3, 20), (2, 32), (3, 2)]), columns([(2, 64)])]  # label 3 is void


def results(maps):
    return [dict(pan_results=pan.astype(np.int32)) for pan in maps]


def test_perfect_maps_have_quality_100(make):
    figures = make(test_mode=True).evaluate(results(PERFECT), logger='silent')
    assert [figures[name] for name in ('PQ', 'SQ', 'RQ', 'PQ_th', 'PQ_st')] == [100] * 5
    assert figures['PQ_copypaste'] == ' '.join(['100.000'] * 9)


def test_heads_count_things_stuff_or_both(make):
    dataset = make(test_mode=True)
    wanted = {'roi_head.bbox_head': 2, 'semantic_head': 2, 'panoptic_fusion_head': 3, 'panoptic_head': 3, '': 3}
    wanted |= {'semantic_head.num_things_classes': 2, 'panoptic_fusion_head.num_stuff_classes': 1}
    assert {name: dataset.num_classes_of(name) for name in wanted} == wanted


def test_quality_of_imperfect_maps_and_tables(make, capsys):
    # the cat is 8 of 10 columns, a dog stands where sky is, sky is complete in the second image only
    maps = [columns([(1000, 8), (3, 22), (2, 8), (2001, 24), (3, 2)]), PERFECT[1]]
    figures = make(test_mode=True).evaluate(results(maps), metric=['pq'], classwise=True)
    assert figures['PQ_th'] == pytest.approx((80 + 0) / 2)
    assert figures['PQ_st'] == pytest.approx(100 * 1 / 2)  # one match of IoU 1, a mistake, a miss
    assert figures['PQ'] == pytest.approx((80 + 0 + 50) / 3)
    out = capsys.readouterr().out
    assert 'Things' in out and '| cat ' in out and '80.000' in out


def test_unnumbered_label_zero_survives_the_files(make, tmp_path):
    dataset = make(test_mode=True)
    files = dataset.results2json(results([columns([(0, 10), (2, 54)]), PERFECT[1]]), str(tmp_path / 'out'))
    first, _ = json.loads((tmp_path / 'out.panoptic.json').read_text())['annotations']
    assert list(files) == ['panoptic']
    assert [(s['category_id'], s['area']) for s in first['segments_info']] == [(4, 480), (9, 54 * 48)]
    assert dataset.evaluate_pan_json(files, str(tmp_path / 'out'), 'silent')['PQ_th'] == 100


def test_pictures_stay_inside_their_folder_and_never_replace_the_truth(make, tmp_path):
    dataset = make(test_mode=True)
    names = (f'{tmp_path}/truth/a.png', '../truth/a.png')
    dataset.data_infos = [dict(info, segm_file=name) for info, name in zip(dataset.data_infos, names)]
    files = dataset.results2json(results(PERFECT), str(tmp_path / 'own/out'))
    listed = [entry['file_name'] for entry in json.loads(Path(files['panoptic']).read_text())['annotations']]
    assert sorted(str(path) for path in tmp_path.rglob('a.png')) == sorted(
        str(tmp_path / 'own/panoptic' / name) for name in listed
    )
    assert dataset.evaluate_pan_json(files, str(tmp_path / 'own/out'), 'silent')['PQ'] == 100
    dataset.data_infos[1]['segm_file'] = 'b.png'
    dataset.seg_prefix = str(tmp_path / 'panoptic')
    with pytest.raises(OutputPathError, match='panoptic/b.png is an input'):
        dataset.results2json(results(PERFECT), str(tmp_path / 'out'))


def test_objects_are_evaluated_beside(make, tmp_path):
    annotations = [dict(id=1, image_id=1, category_id=4, bbox=[0, 0, 10, 48], area=480, iscrowd=0)]
    (tmp_path / 'ins.json').write_text(json.dumps(dict(content(), annotations=annotations)))
    dataset = make(test_mode=True, ins_ann_file='ins.json')
    nothing = np.zeros((0, 5), np.float32)
    boxes = [[np.float32([[0, 0, 10, 48, 0.9]]), nothing], [nothing, nothing]]
    both = [
        dict(ins_results=(of_image, [[] for _ in of_image]), pan_results=pan) for of_image, pan in zip(boxes, PERFECT)
    ]
    figures = dataset.evaluate(both, metric=['bbox', 'PQ'], logger='silent')
    assert figures['bbox_mAP'] == 1 and figures['PQ'] == 100
    assert dataset.cat_ids == [4, 2, 9]


def test_many_workers_count_as_one(make, tmp_path):
    truth = make(test_mode=True)
    pairs = [(truth._truth_entry(i), truth._truth_entry(i)) for i in (1, 2)] * 3
    args = (str(tmp_path), str(tmp_path), truth.categories)
    one = pq_compute_single_core(0, pairs, *args, print_log=True)
    many = pq_compute_multi_core(pairs, *args, nproc=4)
    assert {k: v.tolist() for k, v in one.pq_per_cat.items()} == {k: v.tolist() for k, v in many.pq_per_cat.items()}
    assert many[9].tolist() == [6, 6, 0, 0]


def test_wrong_input_is_named(make, tmp_path):
    dataset = make(test_mode=True)
    with pytest.raises(KeyError, match="'PG' is not supported.*PQ"):
        dataset.evaluate(results(PERFECT), metric='PG')
    with pytest.raises(ValueError, match="'bbox' needs ins_ann_file"):
        dataset.evaluate(results(PERFECT), metric='bbox')
    with pytest.raises(TypeError, match="'pan_results'.*got list"):
        dataset.evaluate([[], []])
    with pytest.raises(ValueError, match='all things before all stuff'):
        make(classes=CLASSES[::-1])
    pair = [(dataset._truth_entry(1), dict(dataset._truth_entry(1), segments_info=[dict(id=11, category_id=77)]))]
    with pytest.raises(ValueError, match=r'image 1 \(1.png\): .*unknown categories: \[77\]'):
        pq_compute_single_core(0, pair, str(tmp_path), str(tmp_path), dataset.categories)


def test_coco_has_80_things_and_53_kinds_of_stuff():
    assert (len(CocoPanopticDataset.THING_CLASSES), len(CocoPanopticDataset.STUFF_CLASSES)) == (80, 53)
    assert len(CocoPanopticDataset.CLASSES) == len(CocoPanopticDataset.PALETTE) == 133
