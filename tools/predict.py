"""Detect objects: ``python tools/predict.py SOURCE CONFIG CHECKPOINT --out-dir OUT``.

SOURCE is an image, a folder, a list of images (.txt), a video, the address of a stream or the number of a camera. Of a
single image without an output the detections are printed.
"""

import sys

from mmdet.apis.launch import reported_errors
from mmdet.apis.prediction.command import main, parse_args

__all__ = ['main', 'parse_args']

if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
