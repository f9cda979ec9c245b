"""Make a COCO file without annotations for a folder of images, to run a detector on them.

The file lies in the folder ``annotations`` beside the images' folder, unless ``out`` is an absolute path.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from mmdet.apis.configuring.image_finder import image_size
from mmdet.utils.running.progress import tracked

from coco_editing import describe, write_coco

IMAGE_ENDINGS = ('bmp', 'gif', 'jpeg', 'jpg', 'jp2', 'png', 'ppm', 'tif', 'tiff', 'webp')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('img_path', help='folder of the images, looked through with all folders in it')
    parser.add_argument('classes', type=str, help='text file with a class on each line')
    parser.add_argument('out', type=str, help='name of the JSON file')
    parser.add_argument('-e', '--exclude-extensions', type=str, nargs='+', help='endings to leave out, such as png bmp')
    args = parser.parse_args(argv)
    if not args.out.endswith('.json'):
        parser.error(f'out must end with .json, got {args.out!r}')
    return args


def find_images(folder: str, excluded: Sequence[str] = ()) -> tuple[list[str], int]:
    """Image files under a folder, relative to it and sorted, and the number of other files.

    Raises:
        ValueError: there is no such folder.
    """
    if not os.path.isdir(folder):
        raise ValueError(f'{folder!r} is no folder')
    left_out = {ending.lower().lstrip('.') for ending in excluded}
    files = [os.path.relpath(os.path.join(root, name), folder) for root, _, names in os.walk(folder) for name in names]
    endings = {ending for ending in IMAGE_ENDINGS if ending not in left_out}
    images = [name for name in files if os.path.splitext(name)[1][1:].lower() in endings]
    return sorted(name.replace(os.sep, '/') for name in images), len(files) - len(images)


def read_names(path: str) -> list[str]:
    """Names of a text file, one a line.

    Raises:
        ValueError: there are none, one is there twice, or the file is no text in UTF-8.
    """
    try:
        with open(path, encoding='utf-8-sig') as file:  # with or without a byte-order mark
            names = [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is no text in UTF-8 ({error})') from error
    if not names or len(set(names)) < len(names):
        raise ValueError(f'{path}: expected a class on each line, each once, got {names}')
    return names


def main(argv: Sequence[str] | None = None) -> None:
    """Look through the folder and write the file."""
    args = parse_args(argv)
    try:
        names = read_names(args.classes)
        files, others = find_images(args.img_path, args.exclude_extensions or ())
        if not files:
            raise ValueError(f'{args.img_path}: no images ({", ".join(IMAGE_ENDINGS)}) were found')
        images = []
        for i, name in enumerate(tracked(files, 'reading images')):
            width, height = image_size(Path(args.img_path, name))
            images.append(dict(id=i, width=width, height=height, file_name=name))
        categories = [dict(supercategory='none', id=i, name=name) for i, name in enumerate(names)]
        content = dict(images=images, annotations=[], categories=categories)
        out = os.path.join(os.path.abspath(args.img_path), '..', 'annotations', args.out)
        write_coco(content, os.path.normpath(out))
    except (OSError, ValueError) as err:
        raise SystemExit(f'images2coco: {err}') from err
    print(f'{os.path.normpath(out)}: {describe(content)}; {others} other files left out')


if __name__ == '__main__':
    main()
