import glob
import json
import tempfile

import numpy as np
import pytest
from coco_files import coco_content
from numpy.testing import assert_allclose, assert_array_equal

from mmdet.datasets.coco import CocoDataset

CLASSES = ('cat', 'dog')


def build(path, **kwargs):
    return CocoDataset(path, [], classes=kwargs.pop('classes', CLASSES), **kwargs)


def perfect(dataset, drop=()):
    """Each object as a detection of score 0.9; the objects (image, number) in ``drop`` are missed."""
    results = []
    for i in range(len(dataset)):
        ann = dataset.get_ann_info(i)
        found = np.asarray([(i, j) not in drop for j in range(len(ann['labels']))], dtype=bool)
        dets = np.column_stack([ann['bboxes'], np.full(len(found), 0.9)]).astype(np.float32)
        results.append([dets[found & (ann['labels'] == label)] for label in range(len(dataset.CLASSES))])
    return results


def test_annotations_are_sorted_by_use(write_coco):
    content = coco_content([[(5, 1, 2, 10, 20), (7, 3, 4, 5, 6), (5, 0, 0, 0.5, 9), (7, 70, 0, 5, 5), (9, 1, 1, 9, 9)]])
    content['categories'] = content['categories'] + [dict(id=9, name='cow')]
    content['annotations'][1]['iscrowd'] = 1
    content['annotations'][0]['segmentation'] = [[1, 2, 11, 2, 11, 22]]
    ann = build(write_coco(content)).get_ann_info(0)
    assert_allclose(ann['bboxes'], [[1, 2, 11, 22]])
    assert_array_equal(ann['labels'], [0])
    assert_allclose(ann['bboxes_ignore'], [[3, 4, 8, 10]])
    assert ann['masks'] == [[[1, 2, 11, 2, 11, 22]]]
    assert ann['seg_map'] == '1.png'


def test_labels_follow_the_order_of_classes(write_coco, caplog):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 9, 9), (7, 9, 9, 9, 9)]])), classes=('dog', 'cat'))
    assert_array_equal(dataset.get_ann_info(0)['labels'], [1, 0])
    assert dataset.cat_ids == [7, 5]
    assert 'another order' in caplog.text
    written = dataset._det2json([[np.asarray([[0, 0, 4, 4, 0.5]]), np.zeros((0, 5))]])
    assert [entry['category_id'] for entry in written] == [7]


def test_a_class_missing_in_the_file_does_not_shift_the_others(write_coco):
    dataset = build(write_coco(coco_content([[(7, 0, 0, 9, 9)]])), classes=('bird', 'dog'))
    assert_array_equal(dataset.get_ann_info(0)['labels'], [1])
    assert dataset.get_cat2imgs() == {0: [], 1: [0]}


def test_filter_counts_its_reasons(write_coco):
    content = coco_content([[(5, 0, 0, 9, 9)], [], [(7, 0, 0, 9, 9)]])
    content['images'][0]['width'] = 31
    path = write_coco(content)
    dataset = build(path, classes=('cat',))
    assert (len(dataset), dataset.num_unfiltered) == (0, 3)
    assert dataset.filtered == {'without an object of the classes': 2, 'smaller than 32 px': 1}
    assert build(path).img_ids == [3]
    assert build(path, filter_empty_gt=False).img_ids == [2, 3]
    assert build(path, test_mode=True).img_ids == [1, 2, 3]


def test_missing_area_and_iscrowd_are_filled_in(write_coco):
    content = coco_content([[(5, 0, 0, 10, 10)]])
    del content['annotations'][0]['area'], content['annotations'][0]['iscrowd']
    dataset = build(write_coco(content))
    assert dataset.evaluate(perfect(dataset), logger='silent')['bbox_mAP'] == 1.0


def repeated_image(content):
    content['images'].append(dict(content['images'][0]))


def repeated_annotation(content):
    content['annotations'][1]['id'] = 1


def no_width(content):
    del content['images'][0]['width']


def no_box(content):
    del content['annotations'][0]['bbox']


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (repeated_image, r'1 id\(s\) of images are there more than once: 1'),
        (repeated_annotation, r'1 id\(s\) of annotations are there more than once: 1'),
        (no_width, 'image 1 has no width'),
        (no_box, '1 annotations have no "bbox" of x, y, width, height: 1'),
    ],
)
def test_faults_of_the_file_are_named(write_coco, spoil, message):
    content = coco_content([[(5, 0, 0, 9, 9), (7, 0, 0, 9, 9)]])
    spoil(content)
    with pytest.raises(ValueError, match=message) as error:
        build(write_coco(content))
    assert 'ann.json' in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"ann_file '.*nowhere.json' is not there"):
        build('nowhere.json', data_root=str(tmp_path))


def test_perfect_result_has_ap_1(write_coco):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10), (7, 20, 20, 20, 20)], [(7, 5, 5, 30, 30)]])))
    metrics = dataset.evaluate(perfect(dataset), logger='silent')
    assert list(metrics) == [
        *('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'bbox_mAP_s', 'bbox_mAP_m', 'bbox_mAP_l'),
        'bbox_mAP_copypaste',
    ]
    assert [metrics[k] for k in list(metrics)[:6]] == [1.0, 1.0, 1.0, 1.0, -1.0, -1.0]
    assert metrics['bbox_mAP_copypaste'] == '1.0000 1.0000 1.0000 1.0000 -1.0000 -1.0000'


def test_half_right_result_has_the_expected_ap(write_coco):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10), (7, 20, 20, 20, 20)], [(7, 5, 5, 30, 30)]])))
    metrics = dataset.evaluate(perfect(dataset, drop=[(1, 0)]), logger='silent', metric_items=['mAP', 'AR@100'])
    # cat 1; dog: half of the objects found, at 51 of COCO's 101 recalls (0 ... 0.5) precision is 1
    assert metrics['bbox_mAP'] == round((1 + 51 / 101) / 2, 4)
    assert metrics['bbox_AR@100'] == 0.75


def test_f1_of_each_class_stands_at_its_best_threshold(write_coco, capsys):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10), (7, 20, 20, 20, 20)], [(7, 5, 5, 30, 30)]])))
    results = perfect(dataset, drop=[(1, 0)])
    boxes = results[0][1]  # the class of category 7
    results[0][1] = np.concatenate([boxes, boxes + [100, 100, 100, 100, 0]]).astype(np.float32)
    results[0][1][:, 4] = 0.9, 0.4
    metrics = dataset.evaluate(results, classwise=True, metric_items=['precision', 'F1', 'recall'])
    first, second = dataset.CLASSES
    # one of two objects at 0.9, a false one at 0.4: the threshold is halfway between them
    assert metrics[f'bbox_threshold/{second}'] == 0.65
    assert [metrics[f'bbox_{name}/{second}'] for name in ('precision', 'recall', 'F1')] == [1.0, 0.5, 0.6667]
    assert metrics[f'bbox_F1/{first}'] == 1.0 and metrics['bbox_F1'] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert metrics[f'bbox_AP/{second}'] == round(51 / 101, 4)
    assert f'| {second}' in capsys.readouterr().out.partition('best threshold')[2]
    fast = dataset.evaluate(results, 'bbox', 'silent', classwise=True, metric_items=['F1'], backend='numpy')
    assert {name: metrics[name] for name in fast if 'copypaste' not in name} == {
        name: value for name, value in fast.items() if 'copypaste' not in name
    }


def test_f1_is_of_boxes_only(write_coco):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10)]])))
    with pytest.raises(KeyError, match="F1, precision, recall are of boxes; add 'bbox'"):
        dataset.evaluate(perfect(dataset), metric='proposal', metric_items=['F1'])


def test_no_detections_give_zeros_and_a_note(write_coco, capsys):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10)], []])), test_mode=True)
    empty = [[np.zeros((0, 5), np.float32)] * 2] * 2
    metrics = dataset.evaluate(empty, classwise=True)
    assert [metrics[k] for k in ('bbox_mAP', 'bbox_mAP_s', 'bbox_mAP_l')] == [0.0, 0.0, -1.0]
    assert [name for name in metrics if '/' in name] == [f'bbox_AP/{dataset.CLASSES[0]}']  # of dog there is nothing
    out = capsys.readouterr().out
    assert 'no detections at all' in out
    assert 'nan' in out  # dog: nothing to find
    assert out.count(' @[ IoU=') == 12


def test_twelve_figures_are_aligned(write_coco, capsys):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10)]])))
    dataset.evaluate(perfect(dataset))
    lines = [line for line in capsys.readouterr().out.splitlines() if ' @[ IoU=' in line]
    assert len(lines) == 12
    assert len({line.index(' ] = ') for line in lines}) == 1
    assert lines[0].endswith('area=   all | maxDets= 100 ] =  1.0000   mAP')


def test_items_of_one_metric_do_not_leak_into_the_next(write_coco):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10)]])))
    metrics = dataset.evaluate(perfect(dataset), metric=['proposal', 'bbox'], logger='silent')
    assert 'AR@100' in metrics
    assert 'bbox_mAP_75' in metrics
    assert not any(name.startswith('bbox_AR') for name in metrics)


def test_thresholds_and_numbers_of_detections(write_coco):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10), (5, 30, 0, 10, 10)]])))
    results = perfect(dataset)
    results[0][0][0, 2] = 6  # 60 of 100 px² remain: IoU 0.6
    metrics = dataset.evaluate(results, iou_thrs=[0.5, 0.7], logger='silent', proposal_nums=(1, 10))
    assert metrics['bbox_mAP_50'] == 1.0
    assert metrics['bbox_mAP_75'] == -1.0  # not among the thresholds
    figures = dataset.evaluate(results, logger='silent', proposal_nums=(1, 10), metric_items=['AR@1', 'AR@10'])
    assert figures['bbox_AR@10'] == pytest.approx((1 + 3 / 10) / 2)


def test_proposals(write_coco):
    content = coco_content([[(1, 0, 0, 10, 10)], []], categories=[dict(id=1, name='cat')])
    dataset = build(write_coco(content), classes=('cat',), test_mode=True)
    proposals = [np.asarray([[50, 0, 60, 10, 0.9], [0, 0, 10, 10, 0.5]], np.float32), np.zeros((0, 5), np.float32)]
    metrics = dataset.evaluate(proposals, metric='proposal', logger='silent', proposal_nums=(1, 2))
    assert (metrics['AR@1'], metrics['AR@2']) == (0.0, 1.0)
    fast = dataset.evaluate(proposals, metric='proposal_fast', logger='silent', proposal_nums=(1, 2))
    assert fast == {'AR@1': 0.0, 'AR@2': 1.0}

    class Own(CocoDataset):
        def fast_eval_recall(self, results, proposal_nums, iou_thrs, logger=None):  # as in mmdetection 2.x
            return np.ones(len(proposal_nums))

    dataset.__class__ = Own
    fast = dataset.evaluate(proposals, metric='proposal_fast', logger='silent', proposal_nums=(1, 2))
    assert fast == {'AR@1': 1.0, 'AR@2': 1.0}


def test_format_results_writes_xywh(write_coco, tmp_path):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10)]])))
    files, folder = dataset.format_results(
        [[np.asarray([[1, 2, 4, 8, 0.5]], np.float32), np.zeros((0, 5))]], f'{tmp_path}/r'
    )
    assert folder is None
    with open(files['bbox']) as file:
        assert json.load(file) == [dict(image_id=1, bbox=[1, 2, 3, 6], score=0.5, category_id=5)]
    assert files['proposal'] == files['bbox']


def test_temporary_folder_is_removed(write_coco, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10)]])))
    dataset.evaluate(perfect(dataset), logger='silent')
    with pytest.raises(KeyError):
        dataset.evaluate(perfect(dataset), metric='segm', logger='silent')
    assert glob.glob(f'{tmp_path}/*/') == []


def test_wrong_arguments(write_coco):
    dataset = build(write_coco(coco_content([[(5, 0, 0, 10, 10)]])))
    with pytest.raises(KeyError, match="metric 'bbx' is not supported; did you mean 'bbox'"):
        dataset.evaluate(perfect(dataset), metric='bbx')
    with pytest.raises(KeyError, match="'mAP_60' is not supported"):
        dataset.evaluate(perfect(dataset), metric_items=['mAP_60'])
    with pytest.raises(ValueError, match='results has 2 entries for 1 images'):
        dataset.evaluate(perfect(dataset) * 2)
    with pytest.raises(KeyError, match='the results hold only bbox, proposal'):
        dataset.evaluate(perfect(dataset), metric='segm', logger='silent')


def test_masks_use_their_own_area(write_coco):
    mask_utils = pytest.importorskip('pycocotools.mask')
    content = coco_content([[(5, 0, 0, 40, 40)]])
    content['annotations'][0].update(segmentation=[[0, 0, 10, 0, 10, 10, 0, 10]], area=100)
    dataset = build(write_coco(content))
    mask = np.zeros((48, 64), np.uint8, order='F')
    mask[:10, :10] = 1
    segms = [[mask_utils.encode(mask)], []]
    dets = [np.asarray([[0, 0, 40, 40, 0.9]], np.float32), np.zeros((0, 5), np.float32)]
    metrics = dataset.evaluate([(dets, (segms, [[0.3], []]))], metric=['bbox', 'segm'], logger='silent')
    assert metrics['segm_mAP_s'] == 1.0
    assert metrics['bbox_mAP'] == 1.0
    assert dataset._segm2json([(dets, (segms, [[0.3], []]))])[1][0]['score'] == 0.3


def test_masks_as_arrays_and_results_with_keypoints_are_evaluated(write_coco):
    content = coco_content([[(5, 0, 0, 10, 10)]])
    content['annotations'][0].update(segmentation=[[0, 0, 10, 0, 10, 10, 0, 10]], area=100)
    dataset = build(write_coco(content))
    mask = np.zeros((48, 64), bool)
    mask[:10, :10] = True
    dets, points = [np.asarray([[0, 0, 10, 10, 0.9]], np.float32), np.zeros((0, 5), np.float32)], np.zeros((1, 3, 3))
    metrics = dataset.evaluate([(dets, [[mask], []], [points, points[:0]])], ['bbox', 'segm'], logger='silent')
    assert (metrics['segm_mAP'], metrics['bbox_mAP']) == (1.0, 1.0)
    assert dataset.evaluate([(dets, None, [points, points[:0]])], logger='silent')['bbox_mAP'] == 1.0
