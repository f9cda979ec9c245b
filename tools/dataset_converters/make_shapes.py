"""Draw a COCO-format data set of textured shapes on cluttered backgrounds.

    python tools/dataset_converters/make_shapes.py data/shapes --seed 0

writes under the folder

* ``clean/`` and ``annotations/clean.json``: a training set of which every object is annotated; * ``partial/`` and
``annotations/partial.json``: one of which a share of the boxes (half by default) is left out of the annotations, and
``annotations/partial_complete.json`` with all of them; * ``val/`` and ``annotations/val.json``: a fully annotated
validation set.

Every image is drawn from a generator seeded by (seed, set, index): the same options give the same files, and a larger
set begins with the images of a smaller one.

Every object has five keypoints (``mmdet.core.keypoint.SHAPE``): the points of its outline that, while it stands
upright, lie furthest to the upper left, upper right, lower right and lower left, and its centre. Round shapes have no
upright; theirs are chosen where they stand. As in COCO, coordinates are numbers of pixels;
visibility 2 is visible, 1 hidden under another object, 0 outside the image.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

from mmdet.apis.launch import reported_errors
from mmdet.core.keypoint import SHAPE
from mmdet.utils.running.progress import progress_bar

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from shape_styles import STYLES

# the texture of each class; its colours, angle and scale are random
TEXTURES = dict(disc='plain', square='checks', triangle='stripes', star='dots', cross='waves', ring='noise')
ROUND = ('disc', 'ring')  # how far these are turned cannot be seen
SETS = ('clean', 'partial', 'val')

# shares of objects whose side is drawn from COCO's small (< 32 px), medium and large (> 96 px) range
SIZE_RANGES = ((20, 32), (32, 96), (96, 140))
SIZE_SHARES = (0.2, 0.6, 0.2)
MOST_OF_IMAGE = 0.8  # largest side of an object, as a share of the image's
LARGE_IN_IMAGE = 0.6  # share from which on an object is large in an image that is too small for COCO's large ones
MIN_VISIBLE = 0.8  # an object of which less can be seen is not an object of the scene
# of the first four keypoints: (x, y) towards the corner of the image that each is nearest to
DIRECTIONS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
MIN_CONTRAST = 60.0  # between the mean colour of an object and of what it covers, in grey levels


class Scene(NamedTuple):
    """One drawn image and its objects."""

    image: np.ndarray  # (H, W, 3) uint8, BGR
    masks: np.ndarray  # (n, H, W) bool, the visible pixels of each object
    labels: np.ndarray  # (n,) index into the drawn classes
    keypoints: np.ndarray  # (n, 5, 3) x, y in numbers of pixels, visibility


# ---------------------------------------------------------------------------------------------------------------------
# outlines: corner points around the origin for radius 1


def regular_polygon(corners: int, phase: float = 0.0) -> np.ndarray:
    """Corners (n, 2) of a regular polygon on the unit circle."""
    angles = phase + np.arange(corners) * 2 * np.pi / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def star(points: int = 5, inner: float = 0.45) -> np.ndarray:
    """Corners (2 * points, 2) of a star."""
    corners = regular_polygon(2 * points)
    corners[1::2] *= inner
    return corners


def cross(arm: float = 0.36) -> np.ndarray:
    """Corners (12, 2) of an upright cross whose arms are ``2 * arm`` wide."""
    quarter = np.array([[1, -arm], [1, arm], [arm, arm]])
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])


OUTLINES = dict(
    disc=[regular_polygon(40)],
    square=[regular_polygon(4, np.pi / 4)],
    triangle=[regular_polygon(3)],
    star=[star()],
    cross=[cross()],
    ring=[regular_polygon(40), 0.55 * regular_polygon(40)],
)


def place_outline(outline: np.ndarray, centre: np.ndarray, radius: float, stretch: float, angle: float) -> np.ndarray:
    """Corners (n, 2) of an outline for radius 1, sized, turned and moved to its place."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, s], [-s, c]])
    return (outline * (radius, radius * stretch)) @ turn + centre


def shape_keypoints(
    kind: str, centre: np.ndarray, radius: float, stretch: float, angle: float, size: int
) -> np.ndarray:
    """The five keypoints of a shape that nothing covers, (5, 3); those outside the image are zeros."""
    outline = OUTLINES[kind][0]
    corners = place_outline(outline, centre, radius, stretch, angle)
    # points that jumped from corner to corner as a shape is turned a little could hardly be learnt
    shown = corners if kind in ROUND else outline * (1, stretch)
    points = np.concatenate([corners[(shown @ DIRECTIONS.T).argmax(0)], [centre]])
    inside = ((points >= -0.5) & (points < size - 0.5)).all(1, keepdims=True)
    return np.concatenate([points, np.full((len(points), 1), 2.0)], axis=1) * inside


def hide_covered(keypoints: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Keypoints (5, 3), those under a new object's mask (H, W) with visibility 1."""
    columns, rows = np.round(keypoints[:, :2]).astype(int).T
    hidden = keypoints.copy()
    hidden[:, 2] = np.where(mask[rows, columns], np.minimum(keypoints[:, 2], 1), keypoints[:, 2])
    return hidden


def shape_mask(kind: str, centre: np.ndarray, radius: float, stretch: float, angle: float, size: int) -> np.ndarray:
    """Filled outline of a shape, (size, size) bool; later outlines of a kind are holes in the first."""
    mask = np.zeros((size, size), np.uint8)
    for value, outline in zip((1, 0), OUTLINES[kind]):
        points = place_outline(outline, centre, radius, stretch, angle)
        cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], value, shift=4)
    return mask.astype(bool)


# ---------------------------------------------------------------------------------------------------------------------
# textures and backgrounds


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """(size, size) in [0, 1]: a coarse random grid stretched smoothly."""
    coarse = rng.random((cells, cells), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def pattern(kind: str, rng: np.random.Generator, size: int, pitch: float) -> np.ndarray:
    """(size, size) float32 in [0, 1]: a pattern of TEXTURES with a random angle, repeating every ``pitch`` pixels."""
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    u = (xs * np.cos(angle) + ys * np.sin(angle)) / pitch
    v = (ys * np.cos(angle) - xs * np.sin(angle)) / pitch
    if kind == 'dots':
        return (((u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2) < 0.09).astype(np.float32)
    if kind == 'checks':
        return ((np.floor(2 * u) + np.floor(2 * v)) % 2).astype(np.float32)
    if kind == 'stripes':
        return (np.floor(2 * u) % 2).astype(np.float32)
    if kind == 'waves':
        return (0.5 + 0.5 * np.sin(2 * np.pi * (u + 0.3 * np.sin(2 * np.pi * v)))).astype(np.float32)
    if kind == 'noise':
        return smooth_noise(rng, size, max(4, int(3 * size / pitch)))
    return np.zeros((size, size), np.float32)


def textured(kind: str, rng: np.random.Generator, size: int, pitch: float, depth: float) -> np.ndarray:
    """(size, size, 3) float32 in [0, 255]: two random colours mixed by a pattern of relative strength ``depth``."""
    first, second = rng.uniform(20, 235, (2, 3))
    mixed = first + depth * pattern(kind, rng, size, pitch)[..., None] * (second - first)
    return mixed.astype(np.float32)


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) float32: smooth colour, a texture, and clutter of lines, arcs and open strokes."""
    image = np.stack([smooth_noise(rng, size, 5) for _ in range(3)], axis=-1) * 160 + 40
    kind = list(TEXTURES.values())[rng.integers(len(TEXTURES))]
    image = 0.65 * image + 0.35 * textured(kind, rng, size, rng.uniform(6, 24), 0.6)
    image = np.ascontiguousarray(image, np.float32)
    for _ in range(rng.integers(3, 10)):
        colour = rng.uniform(20, 235, 3).tolist()
        points = rng.integers(0, size, (rng.integers(2, 5), 1, 2)).astype(np.int32)
        width = int(rng.integers(1, 4))
        if rng.random() < 0.6:
            cv2.polylines(image, [points], False, colour, width, cv2.LINE_AA)
        else:
            axes = tuple(int(a) for a in rng.integers(8, size // 3, 2))
            start = float(rng.uniform(0, 360))
            centre = tuple(int(c) for c in points[0, 0])
            cv2.ellipse(image, centre, axes, 0, start, start + float(rng.uniform(40, 160)), colour, width, cv2.LINE_AA)
    return image


# ---------------------------------------------------------------------------------------------------------------------
# scenes


def draw_scene(rng: np.random.Generator, classes: list[str], size: int, max_objects: int) -> Scene:
    """Draw one image of ``size`` x ``size`` px with up to ``max_objects`` objects that may overlap a little."""
    image = background(rng, size)
    masks, labels, areas, keypoints = [], [], [], []
    for _ in range(rng.integers(1, max_objects + 1)):
        label = int(rng.integers(len(classes)))
        radius = rng.uniform(*fitting_range(*SIZE_RANGES[rng.choice(len(SIZE_RANGES), p=SIZE_SHARES)], size)) / 2
        centre = rng.uniform(0.6 * radius, size - 0.6 * radius, 2)  # the border may cut an object
        place = (classes[label], centre, radius, rng.uniform(0.85, 1.0), rng.uniform(-0.4, 0.4), size)
        mask = shape_mask(*place)
        if not visible_enough([*masks, mask], [*areas, mask.sum()]):
            continue
        image[mask] = contrasting_fill(TEXTURES[classes[label]], rng, image, mask, radius)
        masks = [m & ~mask for m in masks] + [mask]
        keypoints = [hide_covered(points, mask) for points in keypoints] + [shape_keypoints(*place)]
        labels.append(label)
        areas.append(mask.sum())
    image += rng.normal(0, rng.uniform(2, 8), image.shape)
    image *= rng.uniform(0.75, 1.2)
    stacked = np.stack(masks) if masks else np.zeros((0, size, size), bool)
    points = np.array(keypoints).reshape(-1, len(SHAPE.names), 3)
    return Scene(np.clip(image, 0, 255).astype(np.uint8), stacked, np.array(labels, np.int64), points)


def fitting_range(low: float, high: float, size: int) -> tuple[float, float]:
    """The part of a range of sides, px, that fits into an image; where none does, the sides that are large in it."""
    most = MOST_OF_IMAGE * size
    return (low if low <= most else LARGE_IN_IMAGE * size), min(high, most)


def visible_enough(masks: list[np.ndarray], areas: list[int]) -> bool:
    """Whether, with the last mask painted on top, a fair part of every object can still be seen."""
    top = masks[-1]
    rest = [(m & ~top).sum() for m in masks[:-1]] + [top.sum()]
    return all(seen >= max(MIN_VISIBLE * whole, 60) for seen, whole in zip(rest, areas))


def contrasting_fill(
    kind: str, rng: np.random.Generator, image: np.ndarray, mask: np.ndarray, radius: float
) -> np.ndarray:
    """(pixels of the mask, 3): a texture whose mean differs from what it covers, so that the object can be seen."""
    covered = image[mask].mean(0)
    pitch = max(5.0, rng.uniform(0.4, 0.7) * radius)
    for _ in range(8):
        fill = textured(kind, rng, len(image), pitch, rng.uniform(0.5, 1.0))[mask]
        if np.abs(fill.mean(0) - covered).max() >= MIN_CONTRAST:
            break
    return fill


def tight_box(mask: np.ndarray) -> list[float]:
    """COCO box x, y, w, h in pixels around the pixels of a mask."""
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [float(xs[0]), float(ys[0]), float(xs[-1] - xs[0] + 1), float(ys[-1] - ys[0] + 1)]


def scene_annotations(scene: Scene, image_id: int) -> list[dict]:
    """COCO annotations (without ids) of a scene."""
    rows = []
    for mask, label, keypoints in zip(scene.masks, scene.labels, scene.keypoints):
        rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        rows.append(
            dict(
                image_id=image_id,
                category_id=int(label) + 1,
                bbox=tight_box(mask),
                area=float(mask.sum()),
                iscrowd=0,
                segmentation=dict(size=rle['size'], counts=rle['counts'].decode('ascii')),
                keypoints=[number for x, y, v in keypoints for number in (round(x, 2), round(y, 2), int(v))],
                num_keypoints=int((keypoints[:, 2] > 0).sum()),
            )
        )
    return rows


def draw_set(
    folder: Path,
    name: str,
    count: int,
    classes: list[str],
    size: int,
    max_objects: int,
    seed: int,
    style: str = 'plain',
) -> dict:
    """Draw ``count`` images into ``folder/name`` and give the set's COCO dictionary."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    print(f'{name}: {count} images')
    bar = progress_bar(count)
    for index in range(count):
        scene = draw_scene(np.random.default_rng([seed, SETS.index(name), index]), classes, size, max_objects)
        file_name = f'{index:06d}.png'
        # a generator of its own: the things shown are the same in every style
        image = STYLES[style](scene.image, np.random.default_rng([seed, SETS.index(name), index, 1]))
        cv2.imwrite(str(folder / name / file_name), image)
        images.append(dict(id=index + 1, file_name=file_name, width=size, height=size))
        annotations += scene_annotations(scene, index + 1)
        bar.update()
    for number, row in enumerate(annotations, 1):
        row['id'] = number
    # COCO counts the points of its skeletons from 1
    points = dict(keypoints=list(SHAPE.names), skeleton=[[a + 1, b + 1] for a, b in SHAPE.limbs])
    categories = [dict(id=i + 1, name=c, supercategory='shape', **points) for i, c in enumerate(classes)]
    return dict(info=dict(description=f'shapes, {name}'), images=images, annotations=annotations, categories=categories)


def leave_out(coco: dict, share: float, seed: int) -> dict:
    """A copy of a COCO dictionary without ``share`` of its annotations, chosen at random."""
    count = len(coco['annotations'])
    dropped = np.random.default_rng([seed, len(SETS)]).permutation(count)[: round(share * count)]
    keep = np.ones(count, bool)
    keep[dropped] = False
    return dict(coco, annotations=[a for a, k in zip(coco['annotations'], keep) if k])


def write_json(content: dict, path: Path) -> None:
    """Write a COCO dictionary and say what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding='utf-8')
    print(f'{path}: {len(content["images"])} images, {len(content["annotations"])} boxes')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out_dir', type=Path, help='folder to write to')
    parser.add_argument('--clean', type=int, default=800, help='images of the fully annotated training set')
    parser.add_argument('--partial', type=int, default=200, help='images of the partly annotated training set')
    parser.add_argument('--val', type=int, default=200, help='images of the validation set')
    parser.add_argument('--missing', type=float, default=0.5, help='share of the boxes that `partial` leaves out')
    parser.add_argument(
        '--classes', nargs='+', default=['disc', 'square', 'triangle'], choices=list(TEXTURES), help='shapes to draw'
    )
    parser.add_argument('--size', type=int, default=192, help='side of the square images in px')
    parser.add_argument('--max-objects', type=int, default=5, help='most objects of one image')
    parser.add_argument('--style', default='plain', choices=list(STYLES), help='look of the images')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if not 0 <= args.missing <= 1:
        parser.error(f'--missing: expected a share in [0, 1], got {args.missing}')
    if args.size < 64:
        parser.error(f'--size: expected at least 64 px, got {args.size}')
    return args


def main() -> None:
    args = parse_args()
    annotations = args.out_dir / 'annotations'
    for name in SETS:
        count = getattr(args, name)
        coco = draw_set(args.out_dir, name, count, args.classes, args.size, args.max_objects, args.seed, args.style)
        if name == 'partial':
            write_json(coco, annotations / 'partial_complete.json')
            coco = leave_out(coco, args.missing, args.seed)
        write_json(coco, annotations / f'{name}.json')


if __name__ == '__main__':
    with reported_errors(ValueError):
        main()
