"""A page on this machine that shows what a detector finds: ``python tools/serve.py CONFIG CHECKPOINT``.

Open the printed address, drop an image, move the threshold. It needs gradio (``pip install "gradio>=6"``).
"""

import argparse
import os
import sys
from pathlib import Path

from mmdet.apis.launch import fraction, reported_errors
from mmdet.apis.prediction.command import add_model_options, check_model_files, load_model
from mmdet.apis.prediction.page import build_page


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Show detections of images in a web page')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--host', default='127.0.0.1', help='address; the default is for this machine only')
    parser.add_argument('--port', type=int, default=7860, help='port')
    parser.add_argument('--score-thr', type=fraction, default=0.3, help='threshold at the start')
    add_model_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command until Ctrl-C."""
    args = parse_args(argv)
    check_model_files(args)
    os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')  # nothing is sent elsewhere
    page = build_page(load_model(args), args.score_thr, title=Path(args.config).stem)
    print(f'http://{args.host}:{args.port} shows the detector; Ctrl-C ends it', flush=True)
    page.launch(server_name=args.host, server_port=args.port, share=False, quiet=True)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
