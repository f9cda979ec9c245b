"""COCO's box metrics by whole arrays: the curves of pycocotools, to the last bit."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import mmdet.datasets.metrics.coco_fast_eval as module
from mmdet.datasets import CocoDataset
from mmdet.datasets.metrics.coco_fast_eval import evaluate_boxes, gather
from mmdet.datasets.metrics.coco_metrics import check_backend


def made(seed: int, images: int, cats: int, objects: int, finds: int, grid: float) -> tuple[dict, list[dict]]:
    """Annotations with crowds, and results that lie near them; a coarse ``grid`` makes equal overlaps and scores."""
    rng = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        sides = rng.choice([20, 60, 150], (count, 1)) * rng.uniform(0.5, 1.5, (count, 2))
        return np.maximum(np.round(np.concatenate([rng.uniform(0, 200, (count, 2)), sides], 1) / grid), 1) * grid

    anns = []
    for i, box in enumerate(boxes(objects)):
        area = float(box[2] * box[3]) * rng.choice([0.5, 1.0])
        owner = dict(image_id=int(rng.integers(images)) * 3, category_id=int(rng.integers(cats)) + 5)
        anns.append(dict(owner, id=i + 1, bbox=box.tolist(), area=area, iscrowd=int(rng.random() < 0.15)))
    results = []
    for k, box in enumerate(boxes(finds)):
        owner = dict(image_id=int(rng.integers(images)) * 3, category_id=int(rng.integers(cats)) + 5)
        if k % 3 and anns:  # near an object
            ann = anns[int(rng.integers(len(anns)))]
            owner = dict(image_id=ann['image_id'], category_id=ann['category_id'])
            box = np.round((np.array(ann['bbox']) + rng.normal(0, 6, 4)) / grid) * grid
            box[2:] = np.maximum(box[2:], grid)
        results.append(dict(owner, bbox=box.tolist(), score=float(np.round(rng.random(), 2))))
    content = dict(
        info={},
        images=[dict(id=i * 3, width=300, height=300) for i in range(images)],
        categories=[dict(id=k + 5, name=str(k)) for k in range(cats)],
        annotations=anns,
    )
    return content, results


def reference(content: dict, results: list[dict], max_dets: list[int], img_ids=None, cat_ids=None) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = content
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(results), 'bbox')
        run.params.maxDets = max_dets
        run.params.imgIds = img_ids or run.params.imgIds
        run.params.catIds = cat_ids or run.params.catIds
        run.evaluate()
        run.accumulate()
    return run


def own(content: dict, results: list[dict], like: COCOeval) -> dict:
    params = like.params
    parts = [gather(entries, params.catIds, params.imgIds) for entries in (content['annotations'], results)]
    sizes = len(params.imgIds), len(params.catIds)
    return evaluate_boxes(*parts, *sizes, params.iouThrs, params.recThrs, np.array(params.areaRng), params.maxDets)


@pytest.mark.parametrize(
    ('seed', 'images', 'cats', 'objects', 'finds', 'grid'),
    [(0, 4, 3, 60, 200, 0.01), (1, 2, 1, 30, 150, 20), (2, 1, 2, 12, 80, 40), (3, 6, 4, 3, 30, 1), (4, 3, 2, 9, 1, 1)],
)
@pytest.mark.parametrize('max_dets', [[1, 10, 100], [3, 5]])
def test_equals_pycocotools(seed, images, cats, objects, finds, grid, max_dets):
    content, results = made(seed, images, cats, objects, finds, grid)
    run = reference(content, results, max_dets)
    curves = own(content, results, run)
    for name in ('precision', 'recall'):
        np.testing.assert_array_equal(curves[name], run.eval[name], err_msg=name)


def test_small_chunks_and_chosen_images_and_categories(monkeypatch):
    monkeypatch.setattr(module, 'CHUNK', 1)
    content, results = made(5, 5, 4, 50, 120, 5)
    run = reference(content, results, [10, 100], img_ids=[0, 6, 9], cat_ids=[5, 8])
    assert run.eval['recall'].max() > 0
    for name, curve in own(content, results, run).items():
        np.testing.assert_array_equal(curve, run.eval[name])


@pytest.mark.parametrize('with_results', [True, False])
def test_the_data_set_gives_the_same_figures_with_either_backend(tmp_path, with_results):
    content, _ = made(6, 4, 3, 40, 1, 1)
    for image in content['images']:
        image['file_name'] = f'{image["id"]}.jpg'
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(content))
    dataset = CocoDataset(str(path), [], classes=('2', '0', '1'), test_mode=True)
    rng = np.random.default_rng(0)
    results = []
    for i in range(len(dataset)):
        info = dataset.get_ann_info(i)
        noisy = info['bboxes'] + rng.normal(0, 2, info['bboxes'].shape).astype(np.float32)
        dets = np.c_[noisy, rng.random(len(noisy))].astype(np.float32)[: None if with_results else 0]
        labels = info['labels'][: len(dets)]
        results.append([dets[labels == k] for k in range(3)])
    slow, fast = (
        dataset.evaluate(
            results, logger='silent', backend=backend, metric_items=['mAP', 'mAP_s', 'AR@100', 'AR_l@1000']
        )
        for backend in ('pycocotools', 'numpy')
    )
    assert slow == fast and (slow['bbox_mAP'] > 0.3) == with_results
    with pytest.raises(ValueError, match='numpi.*numpy'):
        dataset.evaluate(results, backend='numpi')


def test_unknown_backend():
    check_backend('numpy')
    with pytest.raises(ValueError, match='Known: pycocotools, numpy'):
        check_backend('cython')


def test_object_of_exactly_32_px_a_side_is_small_and_of_middle_size():
    ranges = np.array([[0, 32.0**2], [32.0**2, 96.0**2]])
    areas = np.array([32.0 * 32, 32 * 32 - 1, 32 * 32 + 1])
    assert module.outside(areas, ranges).tolist() == [[False, False], [False, True], [True, False]]
