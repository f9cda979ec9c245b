"""Drawn shapes of which some labels are missing or wrong, and the detections of a detector that is often right."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from mmcv import Config

from mmdet.apis.label_errors import Detections, LabelledImage, detections_of

ROOT = Path(__file__).resolve().parents[3]
CLASSES = ('disc', 'square', 'triangle')
SIDE = 96  # px of the images
CONFIG = """
_base_ = '{root}/configs/demo/faster_rcnn_r18_fpn_mixed.py'
parts = [dict(type='CocoDataset', name=name, classes={classes}, ann_file='{folder}/' + name + '.json',
              img_prefix='{folder}/images', pipeline={{{{_base_.train_pipeline}}}}) for name in {sources}]
data = dict(workers_per_gpu=0, persistent_workers=False,
            train=dict(_delete_=True, type='ConcatDataset', datasets=parts))
"""


def drawing():
    """tools/dataset_converters/make_shapes.py as a module."""
    folder = ROOT / 'tools/dataset_converters'
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location('drawing_of_shapes', folder / 'make_shapes.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


def draw(folder: Path, counts: dict[str, int], write_images: bool = True) -> dict[str, dict]:
    """Draw images of several sources; their complete COCO dictionaries."""
    module, complete = drawing(), {}
    (folder / 'images').mkdir(parents=True)
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    for number, (source, count) in enumerate(counts.items()):
        content = dict(images=[], annotations=[], categories=categories)
        for i in range(count):
            scene = module.draw_scene(np.random.default_rng([number, i]), list(CLASSES), SIDE, 4)
            name = f'{source}_{i}.png'
            if write_images:
                cv2.imwrite(str(folder / 'images' / name), scene.image)
            content['images'].append(dict(id=i + 1, file_name=name, width=SIDE, height=SIDE))
            rows = [
                dict(id=0, image_id=i + 1, category_id=int(label) + 1, iscrowd=0, area=float(mask.sum()))
                | dict(bbox=module.tight_box(mask))
                for mask, label in zip(scene.masks, scene.labels)
            ]
            content['annotations'] += rows
        for row_id, row in enumerate(content['annotations'], 1):
            row['id'] = row_id
        complete[source] = content
    return complete


def corners(row: dict) -> np.ndarray:
    """A COCO box as xyxy."""
    x, y, w, h = row['bbox']
    return np.asarray([x, y, x + w, y + h])


def detect(content: dict, seed: int) -> list[list[np.ndarray]]:
    """What a detector of middling quality finds on the images of a COCO dictionary.

    It misses some objects, is unsure about others, mistakes classes, finds some twice, and finds things in the clutter,
    mostly with low scores. It knows nothing of what is annotated.
    """
    rng = np.random.default_rng(seed)
    results = []
    for image in content['images']:
        found = [[] for _ in CLASSES]
        for row in (row for row in content['annotations'] if row['image_id'] == image['id']):
            if rng.random() < 0.1:
                continue
            box, label = corners(row), row['category_id'] - 1
            spread = 0.04 * np.tile(box[2:] - box[:2], 2)
            shown = label if rng.random() < 0.95 else int(rng.integers(len(CLASSES)))
            found[shown].append([*(box + rng.normal(0, spread)), rng.beta(4, 1.5)])
            if rng.random() < 0.3:
                found[int(rng.integers(len(CLASSES)))].append([*(box + rng.normal(0, 2 * spread)), rng.beta(1.2, 5)])
        for _ in range(rng.poisson(2)):
            size = rng.uniform(15, 50, 2)
            corner = rng.uniform(0, SIDE - size)
            found[int(rng.integers(len(CLASSES)))].append([*corner, *(corner + size), rng.beta(1.2, 6)])
        results.append([np.asarray(rows, np.float32).reshape(-1, 5) for rows in found])
    return results


def without(content: dict, rates: dict[int, float], seed: int) -> tuple[dict, set[int]]:
    """A COCO dictionary without a part of the boxes of each category, and the ids of those that were left out."""
    rng = np.random.default_rng(seed)
    lost: set[int] = set()
    for category, rate in rates.items():
        ids = [row['id'] for row in content['annotations'] if row['category_id'] == category]
        lost |= set(rng.permutation(ids)[: round(rate * len(ids))].tolist())
    return {**content, 'annotations': [row for row in content['annotations'] if row['id'] not in lost]}, lost


def labelled(content: dict, source: str) -> list[LabelledImage]:
    """The images of a COCO dictionary."""
    images = []
    for image in content['images']:
        rows = [row for row in content['annotations'] if row['image_id'] == image['id']]
        boxes = np.asarray([corners(row) for row in rows], np.float32).reshape(-1, 4)
        labels = np.asarray([row['category_id'] - 1 for row in rows], np.int64)
        ids = np.asarray([row['id'] for row in rows], np.int64)
        images.append(LabelledImage(source, image['id'], image['file_name'], boxes, labels, ids, np.zeros((0, 4))))
    return images


def detections(*rows: tuple[float, ...]) -> Detections:
    """Detections from rows of x1, y1, x2, y2, score, label."""
    per_class = [[row[:5] for row in rows if row[5] == label] for label in range(len(CLASSES))]
    return detections_of([np.asarray(found, np.float32).reshape(-1, 5) for found in per_class])


def write_config(folder: Path, contents: dict[str, dict], extra: str = '') -> Path:
    """Annotation files and a config of the sources."""
    for source, content in contents.items():
        (folder / f'{source}.json').write_text(json.dumps(content))
    path = folder / 'mixture.py'
    text = CONFIG.format(root=ROOT, folder=folder, classes=CLASSES, sources=list(contents))
    path.write_text(text + extra)
    return path


def load_config(path: Path) -> Config:
    """The config, for a CPU."""
    cfg = Config.fromfile(str(path))
    cfg.seed, cfg.device, cfg.gpu_ids = 0, 'cpu', [0]
    return cfg
