"""Write the objects of a COCO file as a table: one line an object, and one for each image without any."""

import argparse
import csv
from collections.abc import Sequence

from mmdet.utils.running.progress import tracked

from coco_editing import csv_rows, read_coco, replacing


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('file', help='COCO file')
    parser.add_argument('out', help='CSV file to write')
    parser.add_argument('--no-empty-images', action='store_true', help='no lines for images without objects')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Read and write."""
    args = parse_args(argv)
    try:
        rows = list(csv_rows(read_coco(args.file), not args.no_empty_images))
        with replacing(args.out, newline='') as file:
            csv.writer(file).writerows(tracked(rows, 'writing lines'))
    except (OSError, ValueError) as err:
        raise SystemExit(f'coco_to_csv: {err}') from err
    print(f'{args.out}: {len(rows) - 1} lines')


if __name__ == '__main__':
    main()
