"""Split a COCO file by image, so that each class is divided as the images are.

``coco_split.py all.json --parts train=0.8 val=0.2`` writes ``train.json`` and ``val.json`` beside the file. All ids and
all categories stay as they are; the same seed gives the same split.
"""

import argparse
import math
import os
from collections.abc import Sequence

from mmdet.utils.running.progress import tracked

from coco_editing import describe, read_coco, select_images, split_images, write_coco


def part(text: str) -> tuple[str, float]:
    """``'train=0.8'`` -> ``('train', 0.8)``.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    name, _, share = text.partition('=')
    try:
        value = float(share)
    except ValueError:
        value = math.nan
    if not name or not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f'expected NAME=SHARE with a share in (0, 1], got {text!r}')
    return name, value


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('file', help='COCO file')
    parser.add_argument('-o', '--out-dir', help='folder for the files; default: that of the file')
    parser.add_argument(
        '--parts',
        nargs='+',
        type=part,
        default=[('train', 0.8), ('val', 0.2)],
        help='name and share of each part; default: train=0.8 val=0.2',
    )
    parser.add_argument('--seed', type=int, default=0, help='of what is left to chance; default: 0')
    args = parser.parse_args(argv)
    total = sum(share for _, share in args.parts)
    if not math.isclose(total, 1, abs_tol=1e-6):
        parser.error(f'the shares must sum up to 1, but sum up to {total:g}')
    if len({name for name, _ in args.parts}) < len(args.parts):
        parser.error('each part needs a name of its own')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Read, split, write."""
    args = parse_args(argv)
    folder = args.out_dir or os.path.dirname(os.path.abspath(args.file))
    paths = [os.path.join(folder, f'{name}.json') for name, _ in args.parts]
    if os.path.realpath(args.file) in map(os.path.realpath, paths):
        raise SystemExit(f'coco_split: a part would take the place of {args.file}; choose another name or --out-dir')
    try:
        content = read_coco(args.file)
        shares = [share for _, share in args.parts]
        parts = split_images(content, shares, args.seed, lambda images: tracked(images, 'splitting images'))
        for path, img_ids in zip(paths, parts):
            selected = select_images(content, img_ids)
            write_coco(selected, path)
            print(f'{path}: {describe(selected)}')
    except (OSError, ValueError) as err:
        raise SystemExit(f'coco_split: {err}') from err


if __name__ == '__main__':
    main()
