"""Four small images with annotations in the format of every data set that the configs name."""

import csv
import json
from pathlib import Path

import cv2
import mmcv
import numpy as np

import mmdet.datasets  # noqa: F401 - fills the registry
from mmdet.core.evaluation import class_lists
from mmdet.datasets.registry import DATASETS

COUNT, SIDE = 4, 96  # images and their edge, px
# x1, y1, x2, y2 px of the two objects of each image; their classes follow from the image's number
BOXES = ((8, 10, 50, 60), (40, 36, 90, 84))
STUFF = 3  # in segmentation maps


def classes_of(kind: str, classes: tuple | None) -> tuple[str, ...]:
    """The names that a data set of a config goes by."""
    return tuple(classes or DATASETS.get(kind).CLASSES)


def write_images(folder: Path) -> None:
    """Noise with two bright rectangles; a segmentation map beside each image."""
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        image = rng.integers(0, 80, (SIDE, SIDE, 3), dtype=np.uint8)
        labels = np.full((SIDE, SIDE), STUFF, np.uint8)
        for number, (x1, y1, x2, y2) in enumerate(BOXES):
            image[y1:y2, x1:x2] = (220, 60, 60) if number else (60, 220, 60)
            labels[y1:y2, x1:x2] = number
        cv2.imwrite(str(folder / f'{i}.jpg'), image)
        cv2.imwrite(str(folder / f'{i}.png'), labels)


def labels_of(image: int, count: int) -> list[int]:
    """The classes of an image's objects."""
    return [(2 * image + number) % min(count, 5) for number in range(len(BOXES))]


def write_coco(folder: Path, classes: tuple[str, ...]) -> dict:
    """A COCO file with polygons, keypoints and what LVIS asks for; the data set's arguments."""
    images = [
        dict(
            id=i,
            file_name=f'{i}.jpg',
            coco_url=f'http://made/{i}.jpg',
            width=SIDE,
            height=SIDE,
            not_exhaustive_category_ids=[],
            neg_category_ids=[],
        )
        for i in range(COUNT)
    ]
    annotations = []
    for i in range(COUNT):
        for (x1, y1, x2, y2), label in zip(BOXES, labels_of(i, len(classes))):
            points = np.linspace((x1, y1, 2), (x2 - 1, y2 - 1, 2), 17).round().astype(int).ravel().tolist()
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i,
                    category_id=label + 1,
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    area=(x2 - x1) * (y2 - y1),
                    iscrowd=0,
                    segmentation=[[x1, y1, x2, y1, x2, y2, x1, y2]],
                    keypoints=points,
                    num_keypoints=17,
                )
            )
    names = class_lists.KEYPOINTS if hasattr(class_lists, 'KEYPOINTS') else [f'point{i}' for i in range(17)]
    categories = [dict(id=i + 1, name=name, frequency='f') for i, name in enumerate(classes)]
    categories[0].update(keypoints=list(names))
    (folder / 'ann.json').write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return dict(ann_file=str(folder / 'ann.json'), img_prefix=str(folder), seg_prefix=str(folder))


def write_panoptic(folder: Path, classes: tuple[str, ...], things: int) -> dict:
    """COCO's panoptic format: two things and one region of stuff on each image."""
    pictures = folder / 'panoptic'
    pictures.mkdir()
    images, annotations = [], []
    for i in range(COUNT):
        ids = np.full((SIDE, SIDE), 7, np.int64)
        segments = [dict(id=7, category_id=things + 1 + i, bbox=[0, 0, SIDE, SIDE], area=SIDE**2, iscrowd=0)]
        for number, ((x1, y1, x2, y2), label) in enumerate(zip(BOXES, labels_of(i, things)), 300):
            ids[y1:y2, x1:x2] = number
            box = [x1, y1, x2 - x1, y2 - y1]
            segments.append(dict(id=number, category_id=label + 1, bbox=box, area=box[2] * box[3], iscrowd=0))
        rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
        cv2.imwrite(str(pictures / f'{i}.png'), rgb[..., ::-1])
        images.append(dict(id=i, file_name=f'{i}.jpg', width=SIDE, height=SIDE))
        annotations.append(dict(image_id=i, file_name=f'{i}.png', segments_info=segments))
    categories = [dict(id=i + 1, name=name, isthing=int(i < things)) for i, name in enumerate(classes)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'panoptic.json').write_text(json.dumps(content))
    return dict(ann_file=str(folder / 'panoptic.json'), img_prefix=str(folder), seg_prefix=str(pictures))


def write_xml(folder: Path, classes: tuple[str, ...], images: str) -> dict:
    """A VOC-like folder: a list of ids, an XML file each, and the images below ``images``."""
    (folder / 'Annotations').mkdir()
    (folder / images).mkdir(parents=True, exist_ok=True)
    (folder / 'ids.txt').write_text('\n'.join(map(str, range(COUNT))))
    for i in range(COUNT):
        objects = ''.join(
            f'<object><name>{classes[label]}</name><difficult>0</difficult><bndbox><xmin>{x1 + 1}</xmin>'
            f'<ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>'
            for (x1, y1, x2, y2), label in zip(BOXES, labels_of(i, len(classes)))
        )
        head = f'<folder>{images}</folder><size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>'
        (folder / f'Annotations/{i}.xml').write_text(f'<annotation>{head}{objects}</annotation>')
        (folder / images / f'{i}.jpg').write_bytes((folder / f'{i}.jpg').read_bytes())
    return dict(ann_file=str(folder / 'ids.txt'), img_prefix=f'{folder}/')


def write_proposals(folder: Path) -> str:
    """Ready-made proposals: the boxes themselves, and one that is far off."""
    boxes = np.asarray([(*box, 0.9) for box in (*BOXES, (0, 0, 20, 20))], np.float32)
    mmcv.dump([boxes] * COUNT, str(folder / 'proposals.pkl'))
    return str(folder / 'proposals.pkl')


def _write_csv(path: Path, rows: list[list]) -> str:
    with open(path, 'w', newline='') as file:
        csv.writer(file).writerows(rows)
    return str(path)


def write_open_images(folder: Path, num_classes: int) -> dict:
    """Tables of Open Images: classes, a flat hierarchy, boxes as fractions, verified labels."""
    codes = [f'/m/{i}' for i in range(num_classes)]
    head = (
        'ImageID Source LabelName Confidence XMin XMax YMin YMax IsOccluded IsTruncated IsGroupOf IsDepiction IsInside'
    )
    rows, verified = [head.split()], [['ImageID', 'Source', 'LabelName', 'Confidence']]
    for i in range(COUNT):
        for (x1, y1, x2, y2), label in zip(BOXES, labels_of(i, num_classes)):
            edges = [edge / SIDE for edge in (x1, x2, y1, y2)]
            rows.append([i, 'made', codes[label], 1, *edges, 0, 0, 0, 0, 0])
            verified.append([i, 'verification', codes[label], 1])
    tree = dict(LabelName='/m/root', Subcategory=[dict(LabelName=code) for code in codes])
    (folder / 'tree.json').write_text(json.dumps(tree))
    return dict(
        ann_file=_write_csv(folder / 'boxes.csv', rows),
        img_prefix=str(folder),
        label_file=_write_csv(folder / 'classes.csv', [[code, f'class {code}'] for code in codes]),
        hierarchy_file=str(folder / 'tree.json'),
        image_level_ann_file=_write_csv(folder / 'verified.csv', verified),
    )
