"""Keep or drop classes of a COCO file; ids stay as they are."""

import argparse
from collections.abc import Sequence

from coco_editing import describe, filter_classes, ids_of_names, read_coco, write_coco


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('file', help='COCO file')
    parser.add_argument('out', help='file to write')
    classes = parser.add_mutually_exclusive_group()
    classes.add_argument('--keep', nargs='+', help='classes that stay; all others go')
    classes.add_argument('--drop', nargs='+', help='classes that go; all others stay')
    parser.add_argument('--drop-empty-images', action='store_true', help='leave out images without objects')
    args = parser.parse_args(argv)
    if not (args.keep or args.drop or args.drop_empty_images):
        parser.error('there is nothing to do: give --keep, --drop or --drop-empty-images')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Read, filter, write."""
    args = parse_args(argv)
    try:
        content = read_coco(args.file)
        kept = {cat['id'] for cat in content['categories']}
        if args.keep:
            kept = ids_of_names(content, args.keep, args.file)
        elif args.drop:
            kept -= ids_of_names(content, args.drop, args.file)
        filtered = filter_classes(content, kept, args.drop_empty_images)
        write_coco(filtered, args.out)
    except (OSError, ValueError) as err:
        raise SystemExit(f'coco_filter: {err}') from err
    print(f'{args.file}: {describe(content)}\n{args.out}: {describe(filtered)}')


if __name__ == '__main__':
    main()
