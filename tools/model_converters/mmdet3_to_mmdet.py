"""Convert a checkpoint, or a config, of mmdetection 3.x."""

import argparse
import sys
from pathlib import Path
from typing import Any

from mmdet.apis.conversion import ConversionError, classes_of_mmdet3, config_of_mmdet3, weights_of_mmdet3
from mmdet.apis.launch import UserError, reported_errors
from mmdet.models import build_detector
from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.checkpoints.checkpoint_io import plain, write_file
from mmdet.utils.configs.read_config import read_config
from mmdet.utils.output_paths import refuse_input

from mmcv import Config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Convert a checkpoint (.pth) or a config (.py) of mmdetection 3.x')
    parser.add_argument('src', help='checkpoint, or config with all that it inherits, such as a run of 3.x writes')
    parser.add_argument('dst', help='file to write')
    parser.add_argument('--config', help='config of this package whose model the weights are for; with a checkpoint')
    parser.add_argument(
        '--trust-checkpoint', action='store_true', help='allow a checkpoint that runs code while it is read'
    )
    return parser.parse_args(argv)


def _model_of(path: str) -> Any:
    cfg = read_config(path)
    if not isinstance(cfg.get('model'), dict):
        raise UserError(f'{path}: the config has no model')
    return cfg.model


def convert_weights(args: argparse.Namespace) -> None:
    """Write the checkpoint."""
    if not args.config:
        raise UserError('a checkpoint needs --config, a config of this package: its model decides what fits')
    content = read_checkpoint(args.src, trusted=args.trust_checkpoint)
    model = build_detector(_model_of(args.config))
    weights = weights_of_mmdet3(content, model.state_dict())
    meta = dict(converted_from='mmdetection 3.x')
    names = classes_of_mmdet3(content)
    if names is not None:
        meta['CLASSES'] = names
    write_file(plain(dict(state_dict=weights, meta=meta)), args.dst)
    print(f'{args.dst}: {len(weights)} tensors')


def convert_config(args: argparse.Namespace) -> None:
    """Write the config, if its model can be built."""
    theirs = read_config(args.src)
    ours = Config(config_of_mmdet3(theirs._cfg_dict.to_dict()))
    build_detector(ours.model)
    Path(args.dst).write_text(ours.pretty_text)
    print(f'{args.dst}: written; compare the numbers of a test before you rely on it')


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    refuse_input(args.dst, args.src)
    try:
        (convert_config if args.src.endswith('.py') else convert_weights)(args)
    except ConversionError as error:
        raise UserError(f'{args.src}: {error}') from error


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
