"""Make a checkpoint fit to be published: weights and meta information only, and the hash of the file in its name.

    python tools/model_converters/publish_model.py work_dirs/x/latest.pth detector.pth

writes ``detector-<first 8 digits of its sha256>.pth``. The optimizer's state and what a training needs to go on are
left out; the file holds tensors and plain values only, so that reading it runs no code.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from mmdet.apis.converting import add_trust_option
from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.checkpoints.checkpoint_io import plain, write_file

TRAINING_ONLY = ('optimizer', 'runner_state', 'amp', 'lr_scheduler')
HASH_DIGITS = 8


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('in_file', help='checkpoint of a training')
    parser.add_argument('out_file', help='file to write; the hash is put into its name')
    add_trust_option(parser)
    return parser.parse_args(argv)


def publishable(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The parts of a checkpoint that are needed to use its weights, as tensors and plain values."""
    kept = {key: value for key, value in checkpoint.items() if key not in TRAINING_ONLY}
    if isinstance(kept.get('meta'), dict):
        # messages of hooks hold paths of the machine that trained
        kept['meta'] = {key: value for key, value in kept['meta'].items() if key != 'hook_msgs'}
    return plain(kept)


def write_with_hash(content: dict[str, Any], out_file: str) -> Path:
    """Write a checkpoint under a name that ends in the hash of its bytes; gives the file."""
    path = Path(out_file)
    if path.suffix != '.pth':
        path = path.with_name(f'{path.name}.pth')
    # under a name of its own at first: `path` may be the input, or another checkpoint that stays
    written = path.with_name(f'.{path.stem}.{os.getpid()}.unpublished')
    write_file(content, written)
    digits = hashlib.sha256(written.read_bytes()).hexdigest()[:HASH_DIGITS]
    return written.replace(path.with_name(f'{path.stem}-{digits}.pth'))


def main(argv: list[str] | None = None) -> Path:
    """Run the command; gives the file."""
    args = parse_args(argv)
    checkpoint = read_checkpoint(args.in_file, trusted=args.trust_checkpoint)
    if 'state_dict' in checkpoint and not checkpoint['state_dict']:
        raise UserError(f'{args.in_file} has no weights')
    path = write_with_hash(publishable(checkpoint), args.out_file)
    print(f'published as {path}')
    return path


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
