"""Combine COCO files into one: classes are matched by name, all ids are numbered anew."""

import argparse
from collections.abc import Sequence

from mmdet.utils.running.progress import tracked

from coco_editing import combine, describe, read_coco, write_coco


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('files', nargs='+', help='COCO files')
    parser.add_argument('-o', '--out', required=True, help='file to write')
    parser.add_argument('--prefixes', nargs='+', help='folder to put before the image names of each file')
    parser.add_argument(
        '--merge-images', action='store_true', help='join the annotations of an image that several files have'
    )
    args = parser.parse_args(argv)
    if args.prefixes and len(args.prefixes) != len(args.files):
        parser.error(f'{len(args.prefixes)} prefixes for {len(args.files)} files; give one for each')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Read, combine, write."""
    args = parse_args(argv)
    try:
        contents = [read_coco(path) for path in tracked(args.files, 'reading files')]
        content = combine(contents, args.files, args.prefixes, args.merge_images)
        write_coco(content, args.out)
    except (OSError, ValueError) as err:
        raise SystemExit(f'coco_combine: {err}') from err
    print(f'{args.out}: {describe(content)}')


if __name__ == '__main__':
    main()
