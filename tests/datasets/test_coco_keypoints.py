"""COCO data with keypoints: what is loaded, what is written, how it is judged."""

import json

import numpy as np
import pytest

from mmdet.datasets import CocoKeypointDataset

PERSON = [dict(id=1, name='person'), dict(id=2, name='dog')]
POINTS = [[10, 10, 2], [30, 10, 2], [30, 40, 1], [10, 40, 2], [0, 0, 0]]
LOADING = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_keypoints=True)]


def content():
    """Image 1: a person and a crowd; 2: a dog; 3: a person without keypoints; 4: a person with one point."""
    boxes = [(1, 8, 8, 24, 34), (1, 40, 8, 20, 30), (2, 5, 5, 30, 30), (1, 8, 8, 24, 34), (1, 8, 8, 24, 34)]
    image_ids = [1, 1, 2, 3, 4]
    anns = [
        dict(id=i + 1, image_id=image, category_id=c, bbox=box, area=box[2] * box[3], iscrowd=int(i == 1))
        for i, (image, (c, *box)) in enumerate(zip(image_ids, boxes))
    ]
    anns[0].update(keypoints=sum(POINTS, []), num_keypoints=4)
    anns[3].update(keypoints=[0] * 15, num_keypoints=0)
    anns[4].update(keypoints=[10, 10, 2] + [0] * 12, num_keypoints=1)
    images = [dict(id=i, file_name=f'{i}.png', width=64, height=48) for i in range(1, 5)]
    return dict(images=images, annotations=anns, categories=PERSON)


@pytest.fixture
def dataset(write_coco, tmp_path):
    path = write_coco(content(), images=True)

    def make(**options):
        options = dict(pipeline=LOADING, img_prefix=str(tmp_path), skeleton='shape') | options
        return CocoKeypointDataset(ann_file=path, **options)

    return make


def results_of(points, score=0.9):
    """Results with the person of image 1, and nothing on the others."""
    boxes = np.array([[8, 8, 32, 42, score]], np.float32)
    nothing = ([np.zeros((0, 5), np.float32)], None, [np.zeros((0, 5, 3), np.float32)])
    return [([boxes], None, [np.asarray(points, np.float32)[None]]), nothing, nothing, nothing]


def test_person_only_data_leaves_out_images_without_persons(dataset):
    data = dataset()
    assert [info['id'] for info in data.data_infos] == [1, 3, 4] == data.img_ids
    assert data.filtered == {'without an object of the classes': 1}
    assert [info['id'] for info in dataset(test_mode=True).data_infos] == [1, 2, 3, 4]


@pytest.mark.parametrize('least, ids', [(1, [1, 4]), (2, [1]), (5, [])])
def test_min_keypoints_leaves_out_images_with_fewer(dataset, least, ids):
    data = dataset(min_keypoints=least)
    assert data.img_ids == [info['id'] for info in data.data_infos] == ids
    assert data.filtered[f'with less than {least} keypoints'] == 3 - len(ids)


def test_loaded_keypoints_go_with_their_boxes_and_crowds_are_ignored(dataset):
    out = dataset()[0]
    assert out['gt_bboxes'].tolist() == [[8, 8, 32, 42]]
    assert out['gt_bboxes_ignore'].tolist() == [[40, 8, 60, 38]]
    assert out['gt_keypoints'].dtype == np.float32 and out['gt_keypoints'].shape == (1, 5, 3)
    assert out['gt_keypoints'][0, :4].tolist() == [[x + 0.5, y + 0.5, v] for x, y, v in POINTS[:4]]
    assert out['keypoint_flip_indices'].tolist() == [1, 0, 3, 2, 4]
    without = dataset(keypoint_offset=0)[1]['gt_keypoints']
    assert without.shape == (1, 5, 3) and not without.any()


def test_results_are_written_as_coco_json_with_xywh_boxes(dataset, tmp_path):
    data = dataset(test_mode=True)
    files, _ = data.format_results(results_of([[x + 0.5, y + 0.5, 0.75] for x, y, _ in POINTS]), str(tmp_path / 'r'))
    assert sorted(files) == ['bbox', 'keypoints', 'proposal']
    (entry,) = json.loads((tmp_path / 'r.keypoints.json').read_text())
    assert entry['bbox'] == [8, 8, 24, 34] and entry['category_id'] == 1 and entry['image_id'] == 1
    assert entry['keypoints'] == [number for x, y, _ in POINTS for number in (x, y, 0.75)]
    assert json.loads((tmp_path / 'r.bbox.json').read_text())[0]['bbox'] == [8, 8, 24, 34]


def figures(data, points, **options):
    return data.evaluate(results_of(points), logger='silent', **options)


def test_perfect_keypoints_have_precision_one(dataset):
    data = dataset(test_mode=True, keypoint_offset=0)
    out = figures(data, POINTS)
    assert list(out) == [f'keypoints_{n}' for n in ('mAP', 'mAP_50', 'mAP_75', 'mAP_m', 'mAP_l')] + [
        f'keypoints_{n}' for n in ('AR', 'AR_50', 'AR_75', 'AR_m', 'AR_l')
    ]
    # of the two persons with keypoints one is found
    assert out['keypoints_AR'] == 0.5 and out['keypoints_mAP'] == pytest.approx(0.505, abs=1e-3)


def test_similarity_is_that_of_the_formula(dataset):
    """All points off by d: OKS = exp(-d^2 / (2 area (2 sigma)^2)); thresholds up to it are met."""
    data = dataset(test_mode=True, keypoint_offset=0)
    sigma, area, want = 0.1, 24 * 34, 0.72
    d = np.sqrt(-2 * area * (2 * sigma) ** 2 * np.log(want))
    out = figures(data, [[x + d, y, 1] for x, y, _ in POINTS], keypoint_sigmas=[sigma] * 5)
    assert out['keypoints_AR_50'] == 0.5 and out['keypoints_AR_75'] == 0
    assert out['keypoints_AR'] == pytest.approx(0.5 * 5 / 10)  # thresholds 0.5 to 0.7


def test_boxes_and_keypoints_are_judged_together(dataset, caplog):
    data = dataset(test_mode=True, keypoint_offset=0)
    out = data.evaluate(results_of(POINTS), metric=['bbox', 'keypoints'], logger='silent')
    assert {'bbox_mAP', 'keypoints_mAP'} <= set(out)


def test_no_detection_at_all_gives_zero(dataset):
    data = dataset(test_mode=True)
    nothing = results_of(POINTS)[1]
    assert data.evaluate([nothing] * 4, logger='silent')['keypoints_mAP'] == 0


def test_evaluation_says_what_is_wrong(dataset):
    data = dataset(test_mode=True)
    with pytest.raises(KeyError, match='keypoints'):
        data.evaluate(results_of(POINTS), metric='keypoint')
    with pytest.raises(ValueError, match='5 numbers'):
        data.evaluate(results_of(POINTS), keypoint_sigmas=[0.1] * 4)
    with pytest.raises(KeyError, match='hold only'):
        data.evaluate([result[0] for result in results_of(POINTS)])
    unknown = dataset(test_mode=True, skeleton=dict(names=list('abcde')))
    with pytest.raises(ValueError, match='sigmas'):
        unknown.evaluate(results_of(POINTS))


def test_skeleton_with_other_points_than_the_file_is_refused(dataset):
    with pytest.raises(ValueError, match='17 points'):
        dataset(skeleton='coco_person')


def test_loading_keypoints_from_data_without_any_names_the_data_set(dataset, write_coco, tmp_path):
    from mmdet.datasets import CocoDataset

    path = write_coco(content(), name='plain.json')
    data = CocoDataset(ann_file=path, pipeline=LOADING, classes=('person',), img_prefix=str(tmp_path))
    with pytest.raises(KeyError, match='CocoKeypointDataset'):
        data[0]
