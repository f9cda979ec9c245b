"""A page on this machine that shows what a detector finds: ``python tools/serve.py CONFIG CHECKPOINT``.

Open the printed address, drop an image, move the threshold. It needs gradio (``pip install "gradio>=6"``).
"""

import argparse
import os
import sys
from pathlib import Path

from mmdet.apis import init_detector
from mmdet.apis.launch import UserError, reported_errors
from mmdet.apis.prediction.page import build_page
from mmdet.utils.checkpoints.checkpoint import set_checkpoint_trust

from mmcv import DictAction


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Show detections of images in a web page')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--host', default='127.0.0.1', help='address; the default is for this machine only')
    parser.add_argument('--port', type=int, default=7860, help='port')
    parser.add_argument('--score-thr', type=float, default=0.3, help='threshold at the start')
    parser.add_argument('--device', default='cuda:0', help='device; the CPU takes the place of a GPU that is missing')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    parser.add_argument(
        '--allow-partial', action='store_true', help='use a checkpoint that lacks weights or has other classes'
    )
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow a file that runs code while it is read')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command until Ctrl-C."""
    args = parse_args(argv)
    for name in (args.config, args.checkpoint):
        if '://' not in name and not Path(name).is_file():
            raise UserError(f'there is no file {name}')
    os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')  # nothing is sent elsewhere
    set_checkpoint_trust(args.trust_checkpoint)
    model = init_detector(args.config, args.checkpoint, args.device, args.cfg_options, args.allow_partial)
    page = build_page(model, args.score_thr, title=Path(args.config).stem)
    print(f'http://{args.host}:{args.port} shows the detector; Ctrl-C ends it', flush=True)
    page.launch(server_name=args.host, server_port=args.port, share=False, quiet=True)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
