"""A made run: two drawn data sets, results with every kind of mistake, and the log of a training."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np

CLASSES = ('raccoon', 'kangaroo', 'koala')
COLOURS = ((60, 90, 200), (70, 180, 90), (190, 120, 60))  # BGR
SIZES = ((320, 240), (200, 260))  # width, height of the images of the two data sets
NAMES = ('zoo', 'park')

CONFIG = """
pipeline = [dict(type='LoadImageFromFile')]
data = dict(test=dict(type='ConcatDataset', datasets=[
    dict(type='CocoDataset', name=name, classes={classes}, ann_file=f'{folder}/{{name}}.json',
         img_prefix=f'{folder}/{{name}}', pipeline=pipeline) for name in {names}]))
data['train'] = dict(type='CocoDataset', name='zoo', classes={classes}, ann_file='{folder}/zoo.json',
    img_prefix='{folder}/zoo', pipeline=pipeline + [
        dict(type='LoadAnnotations', with_bbox=True), dict(type='Collect', keys=['img', 'gt_bboxes']),
        dict(type='AddFieldToImgMetas', fields=['rpn_head.loss_weight', 'ignore_negatives'], values=[0.5, 1])])
data['val'] = data['test']
evaluation = dict(metric='bbox')
"""


def objects_of(number: int, size: tuple[int, int]) -> list[tuple[list[int], int]]:
    """Boxes xyxy and labels of an image; koalas are nowhere."""
    width, height = size
    first = [10 + 3 * number, 20, 90 + 3 * number, 20 + height // 3]
    second = [width // 2, height // 2, width - 20, height - 15]
    return [(first, number % 2)] if number % 3 == 2 else [(first, number % 2), (second, (number + 1) % 2)]


def draw_set(folder: Path, name: str, size: tuple[int, int], count: int) -> None:
    """Images and annotations of one data set."""
    rng = np.random.default_rng(0)
    (folder / name).mkdir()
    images, annotations = [], []
    for i in range(count):
        image = rng.integers(90, 130, (size[1], size[0], 3), dtype=np.uint8)
        for (x1, y1, x2, y2), label in objects_of(i, size):
            centre, axes = ((x1 + x2) / 2, (y1 + y2) / 2), (x2 - x1, y2 - y1)
            cv2.ellipse(image, (centre, axes, 0), COLOURS[label], -1)
            box = dict(bbox=[x1, y1, x2 - x1, y2 - y1], area=(x2 - x1) * (y2 - y1), iscrowd=0, category_id=label + 1)
            annotations.append(dict(box, id=len(annotations) + 1, image_id=i))
        cv2.imwrite(str(folder / name / f'{i}.png'), image)
        images.append(dict(id=i, file_name=f'{i}.png', width=size[0], height=size[1]))
    categories = [dict(id=i + 1, name=own) for i, own in enumerate(CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / f'{name}.json').write_text(json.dumps(content))


def detections_of(number: int, size: tuple[int, int]) -> list[np.ndarray]:
    """What is found: by the number of the image all is right, or one kind of mistake is made."""
    rows: list[list] = [[] for _ in CLASSES]
    for i, (box, label) in enumerate(objects_of(number, size)):
        score = 0.95 - 0.05 * number - 0.1 * i
        kind = number if i == 0 else 0
        if kind == 1:  # missed, but for a weak detection
            rows[label].append([*box, 0.04])
        elif kind == 2:  # taken for another class
            rows[1 - label].append([*box, score])
        elif kind == 3:  # poorly placed
            rows[label].append([box[0] + 45, box[1] + 10, box[2] + 45, box[3] + 10, score])
        else:
            rows[label].append([*box, score])
        if kind == 4:  # found twice
            rows[label].append([box[0] + 4, box[1] + 3, box[2] + 4, box[3] + 3, score - 0.2])
        if kind == 5:  # background
            rows[2].append([5, size[1] - 60, 60, size[1] - 8, 0.6])
    return [np.asarray(own, np.float32).reshape(-1, 5) for own in rows]


def log_rows() -> list[dict]:
    """Of three epochs of 40 iterations; AP of large objects does not exist."""
    rows: list[dict] = [dict(env_info='x')]
    for epoch in (1, 2, 3):
        for iteration in (20, 40):
            loss = 3.0 / (epoch + iteration / 40)
            parts = {'loss_cls': 0.6 * loss, 'loss_bbox': 0.4 * loss}
            sources = {f'{name}/{source}': value / 2 for name, value in parts.items() for source in NAMES}
            times = dict(time=0.25, data_time=0.05, memory=812)
            rows.append(dict(mode='train', epoch=epoch, iter=iteration, **parts, **sources, loss=loss, **times))
        aps = {f'zoo_bbox_{name}': 0.2 * epoch + shift for name, shift in (('mAP', 0), ('mAP_50', 0.2))}
        rows.append(dict(mode='val', epoch=epoch, iter=8, **aps, zoo_bbox_mAP_75=-1.0))
    return rows


def make_run(folder: Path, count: int = 6) -> Path:
    """A folder with images, annotations, ``config.py``, and the work folder ``run``, which is given back."""
    run = folder / 'run'
    run.mkdir(parents=True)
    results = []
    for name, size in zip(NAMES, SIZES):
        draw_set(folder, name, size, count)
        results += [detections_of(i, size) for i in range(count)]
    (folder / 'config.py').write_text(CONFIG.format(folder=folder, classes=CLASSES, names=NAMES))
    (run / 'results.pkl').write_bytes(pickle.dumps(results))
    (run / '20260101_000000.log.json').write_text('\n'.join(map(json.dumps, log_rows())))
    (run / 'latest.pth').write_bytes(b'x' * 2**20)
    return run
