"""Give the list of COCO's test images the categories of panoptic segmentation.

    python tools/misc/gen_coco_panoptic_test_info.py data/coco/annotations

The folder must hold ``image_info_test-dev2017.json`` and ``panoptic_val2017.json``, whose categories say what is a
thing; ``panoptic_image_info_test-dev2017.json`` is written beside them.
"""

import argparse
import sys
from pathlib import Path

from mmdet.apis.launch import UserError, reported_errors

import mmcv

IMAGES = 'image_info_test-dev2017.json'
CATEGORIES = 'panoptic_val2017.json'
OUTPUT = 'panoptic_image_info_test-dev2017.json'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data_root', help="folder with COCO's annotation files")
    return parser.parse_args(argv)


def with_categories(images: dict, panoptic: dict) -> dict:
    """The list of images with the categories of the other file; neither is changed.

    Raises:
        ValueError: the categories do not say what is a thing.
    """
    categories = panoptic['categories']
    if not all('isthing' in category for category in categories):
        raise ValueError('the categories have no "isthing"; those of a panoptic annotation file are needed')
    return {**images, 'categories': categories}


def main(argv: list[str] | None = None) -> Path:
    """Run the command; gives the file."""
    folder = Path(parse_args(argv).data_root)
    missing = [name for name in (IMAGES, CATEGORIES) if not (folder / name).is_file()]
    if missing:
        raise UserError(f'there is no {" and no ".join(missing)} in {folder}')
    try:
        content = with_categories(*(mmcv.load(str(folder / name)) for name in (IMAGES, CATEGORIES)))
    except ValueError as error:
        raise UserError(f'{folder / CATEGORIES}: {error}') from error
    mmcv.dump(content, str(folder / OUTPUT))
    print(f'{len(content.get("images", []))} images, {len(content["categories"])} categories: {folder / OUTPUT}')
    return folder / OUTPUT


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
