"""LVIS's AP: against pycocotools where everything was checked, and by hand where not."""

import contextlib
import io

import numpy as np
import pycocotools.mask as mask_utils
import pytest
from coco_files import coco_content
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmdet.datasets import LVISV1Dataset
from mmdet.datasets.metrics.lvis_metrics import Objects, best_of_each_image, evaluate_lvis, match

THRS = np.linspace(0.5, 0.95, 10)
CATS = [dict(id=5, name='cat', frequency='r'), dict(id=7, name='dog', frequency='f')]


def content_of(boxes_of_images, negatives=(5, 7), not_exhaustive=()):
    content = coco_content(boxes_of_images, (256, 256), CATS)
    for img in content['images']:
        img.update(neg_category_ids=list(negatives), not_exhaustive_category_ids=list(not_exhaustive))
    return content


def run(content, results, metric='bbox', thrs=THRS):
    images = {img['id']: img for img in content['images']}
    categories = {cat['id']: cat for cat in content['categories']}
    return evaluate_lvis(images, content['annotations'], categories, results, metric, thrs)


def det(image, cat, score, *box):
    return dict(image_id=image, category_id=cat, score=score, bbox=list(box))


def random_case(seed):
    """Objects of all sizes, and detections around them and elsewhere."""
    rng = np.random.default_rng(seed)
    boxes = [
        [
            (int(cat), *xy, *wh)
            for cat, xy, wh in zip(rng.choice([5, 7], 6), rng.uniform(0, 120, (6, 2)).tolist(), sizes)
        ]
        for sizes in (rng.uniform(8, 120, (6, 2)).tolist() for _ in range(8))
    ]
    content = content_of(boxes)
    results = []
    for ann in content['annotations']:
        for _ in range(3):
            box = (np.asarray(ann['bbox']) + rng.normal(0, 4, 4)).clip(1).tolist()
            results.append(det(ann['image_id'], int(rng.choice([5, 7])), float(rng.choice([0.1, 0.5, 0.7, 0.9])), *box))
    return content, results


def with_masks(content, results):
    for entry in content['annotations'] + results:
        x, y, w, h = map(int, entry['bbox'])
        mask = np.zeros((256, 256), np.uint8, order='F')
        mask[y : y + h, x : x + w] = 1
        entry['segmentation'] = mask_utils.encode(mask)
        if 'score' not in entry:
            entry['area'] = int(mask.sum())
    return content, results


@pytest.mark.parametrize('metric', ['bbox', 'segm'])
def test_equals_pycocotools_where_everything_was_checked(metric):
    content, results = random_case(3)
    if metric == 'segm':
        content, results = with_masks(content, results)
        results = [{key: value for key, value in entry.items() if key != 'bbox'} for entry in results]
    found = run(content, results, metric)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(content, info={})
        truth.createIndex()
        coco = COCOeval(truth, truth.loadRes(results), metric)
        coco.params.maxDets = [300]
        coco.evaluate()
        coco.accumulate()
    precision, recall = coco.eval['precision'][..., 0], coco.eval['recall'][..., 0]
    for a, area in enumerate(['', 's', 'm', 'l']):
        want = precision[..., a][precision[..., a] > -1]
        assert found.figures[f'AP{area}'] == pytest.approx(want.mean(), abs=1e-12) and 0.02 < want.mean() < 0.98
        assert found.figures[f'AR{area}@300'] == pytest.approx(recall[..., a][recall[..., a] > -1].mean(), abs=1e-12)
    assert found.figures['AP75'] == pytest.approx(precision[5, :, :, 0].mean(), abs=1e-12)
    assert found.figures['APr'] == pytest.approx(precision[:, :, 0, 0].mean(), abs=1e-12) == found.class_aps[0]
    assert found.figures['APf'] == pytest.approx(precision[:, :, 1, 0].mean(), abs=1e-12) == found.class_aps[1]


# of the package lvis 0.5.3, for random_case(0) as the next test changes it
PACKAGE = dict(AP=0.26005092, AP50=0.45060175, AP75=0.29968369, APs=0.0740099, APm=0.29212092, APl=0.67318482)
PACKAGE |= {'APr': 0.27365187, 'APc': -1, 'APf': 0.24644997, 'AR@300': 0.55785714}
PACKAGE |= {'ARs@300': 0.1625, 'ARm@300': 0.57985294, 'ARl@300': 0.7625}


def test_equals_the_package_on_federated_annotations():
    content, results = random_case(0)
    for i, img in enumerate(content['images']):
        img.update(neg_category_ids=[[5], [7], [], [5, 7]][i % 4], not_exhaustive_category_ids=[[], [5], [7]][i % 3])
    assert run(content, results).figures == pytest.approx(PACKAGE, abs=1e-7)


WRONG = det(2, 5, 0.9, 100, 100, 20, 20)
RIGHT = det(1, 5, 0.5, 0, 0, 20, 20)


@pytest.mark.parametrize(
    ('negatives', 'ap'), [((5,), 0.5), ((), 1.0)], ids=['checked for cats: wrong', 'not checked: does not count']
)
def test_detections_of_unchecked_classes_do_not_count(negatives, ap):
    content = content_of([[(5, 0, 0, 20, 20)], []], negatives)
    assert run(content, [WRONG, RIGHT]).figures['AP'] == pytest.approx(ap)


def test_unmatched_detections_where_not_all_objects_are_annotated_do_not_count():
    content = content_of([[(5, 0, 0, 20, 20)], [(5, 50, 50, 20, 20)]], not_exhaustive=[5])
    both = [WRONG, RIGHT, det(2, 5, 0.4, 50, 50, 20, 20)]
    assert run(content, both).figures['AP'] == pytest.approx(1.0)
    for img in content['images']:
        img['not_exhaustive_category_ids'] = [7]
    assert run(content, both).figures['AP'] == pytest.approx(2 / 3)


def test_classes_by_frequency_and_classes_without_objects():
    found = run(content_of([[(7, 0, 0, 20, 20)]]), [det(1, 7, 0.9, 0, 0, 20, 20)])
    assert (found.figures['AP'], found.figures['APr'], found.figures['APc']) == (pytest.approx(1), -1, -1)
    assert np.isnan(found.class_aps[0]) and found.class_aps[1] == pytest.approx(1) == found.figures['APf']
    assert run(content_of([[]]), []).figures['AP'] == -1
    assert run(content_of([[(7, 0, 0, 20, 20)]]), []).figures['AP'] == 0


def test_only_the_best_300_of_an_image_count():
    many = [det(1, 5, 0.9, 100, 100, 5, 5)] * 300 + [det(1, 5, 0.1, 0, 0, 20, 20), det(2, 5, 0.1, 0, 0, 20, 20)]
    best = best_of_each_image(many)
    assert len(best) == 301 and best[-1]['image_id'] == 2
    assert run(content_of([[(5, 0, 0, 20, 20)], []]), many).figures['AP'] == 0


def test_match_prefers_objects_inside_the_area_range():
    objects = Objects(None, np.asarray([100.0, 2000.0]), np.zeros(2))  # small, medium
    dets = Objects(None, np.asarray([1500.0]), np.asarray([0.9]))
    out = match(dets, objects, np.asarray([[0.7, 0.6]]), np.asarray([0.5, 0.65]), True)
    assert out.num_objects.tolist() == [2, 1, 1, 0]
    # any area: the better one; small: the small one; medium: the medium one, above 0.6 the small one, ignored
    assert out.right[..., 0].tolist() == [[True, True], [True, True], [True, False], [False, False]]
    assert out.ignored[..., 0].tolist() == [[False, False], [False, False], [False, True], [True, True]]


def results_of(*dets):
    return [[np.asarray(rows, np.float32).reshape(-1, 5) for rows in dets]]


def build(write_coco, content):
    return LVISV1Dataset(write_coco(content), [], classes=('cat', 'dog'), test_mode=True)


def test_the_data_set_reports_lvis_figures(write_coco, capsys):
    dataset = build(write_coco, content_of([[(5, 0, 0, 20, 20), (7, 50, 50, 20, 20)]]))
    out = dataset.evaluate(results_of([[0, 0, 20, 20, 0.9]], []), classwise=True)
    assert (out['bbox_AP'], out['bbox_APr'], out['bbox_APf'], out['bbox_APl']) == (0.5, 1.0, 0.0, -1.0)
    assert out['bbox_mAP_copypaste'].startswith('AP:0.500 AP50:0.500 AP75:0.500 APs:0.500')
    assert (out['bbox_AP/cat'], out['bbox_AP/dog']) == (1.0, 0.0)
    assert 'cat: 1.000' in capsys.readouterr().out


def test_images_must_say_what_they_were_checked_for(write_coco):
    dataset = build(write_coco, coco_content([[(5, 0, 0, 20, 20)]], categories=CATS))
    with pytest.raises(ValueError, match='image 1 has no neg_category_ids and no not_exhaustive_category_ids'):
        dataset.evaluate(results_of([], []), logger='silent')
