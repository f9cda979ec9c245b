"""Convert the instances of Cityscapes to COCO's JSON.

Writes ``instancesonly_filtered_<gt-dir>_<split>.json`` for each split that is there. Instances become objects with run
lengths; what is annotated as a group of a class becomes a crowd (``iscrowd`` 1). The classes are the eight that
Cityscapes evaluates, with its own ids.
"""

import argparse
import os
from collections.abc import Sequence
from functools import partial
from multiprocessing import Pool

from mmdet.utils.running.progress import tracked

import numpy as np
import pycocotools.mask as mask_utils
from coco_editing import describe, write_coco
from PIL import Image

SPLITS = ('train', 'val', 'test')
# classes with instances that are evaluated, by their ids
CLASSES = {24: 'person', 25: 'rider', 26: 'car', 27: 'truck', 28: 'bus', 31: 'train', 32: 'motorcycle', 33: 'bicycle'}
HUMANS = (24, 25)
INSTANCES_OF_A_CLASS = 1000  # pixel value = class * 1000 + number; below 1000: the class itself, a group
IMG_SUFFIX = 'leftImg8bit.png'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cityscapes_path', help='folder of Cityscapes')
    parser.add_argument('--img-dir', default='leftImg8bit', type=str, help='folder of the images in it')
    parser.add_argument('--gt-dir', default='gtFine', type=str, help='folder of the true maps in it')
    parser.add_argument('-o', '--out-dir', help='folder for the files; default: cityscapes_path')
    parser.add_argument('--nproc', default=1, type=int, help='processes; default: 1')
    return parser.parse_args(argv)


def collect_files(img_dir: str, gt_dir: str, kind: str) -> list[tuple[str, str]]:
    """Images of a split, as ``city/name``, and their maps.

    Raises:
        ValueError: an image has no map.
    """
    pairs = []
    for city in sorted(os.listdir(img_dir)):
        for name in sorted(os.listdir(os.path.join(img_dir, city))):
            if name.endswith(IMG_SUFFIX):
                truth = os.path.join(gt_dir, city, f'{name[: -len(IMG_SUFFIX)]}{kind}_instanceIds.png')
                if not os.path.isfile(truth):
                    raise ValueError(f'{truth} is not there, but {os.path.join(img_dir, city, name)} is')
                pairs.append((f'{city}/{name}', truth))
    return pairs


def objects_of_map(ids: np.ndarray) -> list[dict]:
    """Objects of an instance map (h, w): ``category_id``, ``bbox`` xywh px, ``area`` px², ``iscrowd``, run lengths."""
    objects = []
    for value in np.unique(ids).tolist():
        cat = value // INSTANCES_OF_A_CLASS if value >= INSTANCES_OF_A_CLASS else value
        if cat in CLASSES:
            rle = mask_utils.encode(np.asfortranarray(ids == value, dtype=np.uint8))
            box, area = mask_utils.toBbox(rle).tolist(), int(mask_utils.area(rle))
            segmentation = dict(size=list(map(int, rle['size'])), counts=rle['counts'].decode())
            crowd = int(value < INSTANCES_OF_A_CLASS)
            objects.append(
                dict(iscrowd=crowd, category_id=cat, bbox=box, area=area, segmentation=segmentation, inst_id=value)
            )
    return objects


def convert_image(pair: tuple[str, str], root: str) -> dict:
    """One image's entry, with its objects under ``objects``.

    Args:
        pair: image and map.
        root: folder that the map's name is given relative to.

    Raises:
        ValueError: the map cannot be read, or is a coloured picture.
    """
    name, truth = pair
    try:
        with Image.open(truth) as image:
            ids = np.asarray(image).astype(np.int64)
    except OSError as err:
        raise ValueError(f'{truth} cannot be read: {err}') from err
    if ids.ndim != 2:
        raise ValueError(f'{truth} has {ids.shape[-1]} channels; a map of instance ids has one')
    segm_file = os.path.relpath(truth, root).replace(os.sep, '/')
    return dict(
        file_name=name, height=ids.shape[0], width=ids.shape[1], segm_file=segm_file, objects=objects_of_map(ids)
    )


def to_coco(images: Sequence[dict]) -> dict:
    """Content of a COCO file; ids of images and annotations count from 0 and 1."""
    content: dict = dict(images=[], annotations=[])
    for i, image in enumerate(images):
        content['images'].append({**{key: image[key] for key in image if key != 'objects'}, 'id': i})
        for obj in image['objects']:
            content['annotations'].append(dict(obj, image_id=i, id=len(content['annotations']) + 1))
    content['categories'] = [
        dict(id=i, name=name, supercategory='human' if i in HUMANS else 'vehicle') for i, name in CLASSES.items()
    ]
    return content


def main(argv: Sequence[str] | None = None) -> None:
    """Convert all splits."""
    args = parse_args(argv)
    root = args.cityscapes_path
    found = [split for split in SPLITS if os.path.isdir(os.path.join(root, args.img_dir, split))]
    if not found:
        raise SystemExit(f'cityscapes: there is none of {", ".join(SPLITS)} in {os.path.join(root, args.img_dir)}')
    try:
        for split in found:
            folders = (os.path.join(root, folder, split) for folder in (args.img_dir, args.gt_dir))
            pairs = collect_files(*folders, args.gt_dir)
            work = partial(convert_image, root=os.path.join(root, args.gt_dir))
            if args.nproc > 1:
                with Pool(args.nproc) as pool:
                    images = pool.map(work, pairs)
            else:
                images = [work(pair) for pair in tracked(pairs, f'reading {split}')]
            content = to_coco(images)
            out = os.path.join(args.out_dir or root, f'instancesonly_filtered_{args.gt_dir}_{split}.json')
            write_coco(content, out)
            print(f'{out}: {describe(content)}')
    except (OSError, ValueError) as err:
        raise SystemExit(f'cityscapes: {err}') from err


if __name__ == '__main__':
    main()
