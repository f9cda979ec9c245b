"""Settings for the whole suite."""

import os
import sys
from pathlib import Path

import cv2
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests' / folder) for folder in ('golden', 'runtime')]

os.environ.setdefault('MPLBACKEND', 'Agg')
torch.set_num_threads(1)  # the suite runs one process a core
cv2.setNumThreads(0)  # a process forked off one with OpenCV's threads hangs when it sets their number
