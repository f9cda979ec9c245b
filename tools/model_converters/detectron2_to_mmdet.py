"""Convert weights of a Detectron2 R50-FPN detector (.pkl or .pth) to ours."""

import argparse
import pickle
import sys
from pathlib import Path

from mmdet.apis.conversion import ConversionError, detectron2_to_mmdet, read_detectron2_file
from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.checkpoints.checkpoint_io import plain, write_file
from mmdet.utils.output_paths import refuse_input


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a Faster, Mask or Keypoint R-CNN (R50-FPN) of Detectron2; see docs/equivalence.md'
    )
    parser.add_argument('src', help='.pkl or .pth file')
    parser.add_argument('dst', help='file to write')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    refuse_input(args.dst, args.src)
    if not Path(args.src).expanduser().is_file():
        raise UserError(f'there is no file {args.src}')
    try:
        state_dict = detectron2_to_mmdet(read_detectron2_file(args.src))
        if not state_dict:
            raise ConversionError('the file has no weight of a detector of Detectron2')
    except (ConversionError, pickle.UnpicklingError) as error:
        raise UserError(f'{args.src}: {error}') from error
    write_file(plain(dict(state_dict=state_dict, meta=dict(converted_from='detectron2'))), args.dst)
    print(f'{args.dst}: {len(state_dict)} tensors')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
