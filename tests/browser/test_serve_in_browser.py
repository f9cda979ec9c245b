"""The page of tools/serve.py in a real browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmdet.apis import init_detector

pytest.importorskip('gradio')

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/demo/faster_rcnn_r18_fpn_mixed.py'
SMALL = {
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.neck.in_channels': [8, 16, 32, 64],
    'model.test_cfg.rcnn.score_thr': 0.0,
    'model.test_cfg.rcnn.max_per_img': 5,
}
START = 900  # s, until the page answers on a busy machine
WAIT_FOR_INPUT = """
const look = () => document.querySelector('input[type=file]') ? done(1) : setTimeout(look, 100);
look();
"""
# what was dropped and the picture of its detections, and the list of these
WAIT_FOR_DETECTIONS = """
const look = () => {
  const pictures = [...document.querySelectorAll('img')].filter((image) => image.naturalWidth === 100);
  const text = document.body.innerText;
  if (pictures.length >= 2 && /disc|square|triangle/.test(text)) done(text); else setTimeout(look, 200);
};
look();
"""


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    """Where a detector with random weights is served."""
    folder = tmp_path_factory.mktemp('serve')
    model = init_detector(CONFIG, None, device='cpu', cfg_options=SMALL)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(CLASSES=list(model.CLASSES))), folder / 'k.pth')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    options = [f'{key}={str(value).replace(" ", "")}' for key, value in SMALL.items()]
    command = [sys.executable, 'tools/serve.py', CONFIG, folder / 'k.pth', '--port', port, '--score-thr', 0]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'CUDA_VISIBLE_DEVICES': '', 'MPLBACKEND': 'Agg'}
    with open(folder / 'log.txt', 'w') as log:
        process = subprocess.Popen(
            [*map(str, command), '--cfg-options', *options], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    url = f'http://127.0.0.1:{port}/'
    try:
        wait_for(url, process, folder / 'log.txt')
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(url, process, log):
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f'the page does not answer:\n{log.read_text()}')


@pytest.mark.parametrize('width', [1280, 400])
def test_dropped_image_is_shown_with_its_detections(browser, address, width, tmp_path):
    image = tmp_path / 'photo.png'
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8))
    browser.open(address, width=width)
    browser.wait(WAIT_FOR_INPUT)
    browser.find_all('input[type=file]')[0].send_keys(str(image))
    assert 'lowest score' in browser.wait(WAIT_FOR_DETECTIONS)
    assert browser.run('return document.documentElement.scrollWidth') <= width
    assert browser.shoot(f'serve_{width}', width).is_file()
    assert [message for message in browser.errors() if 'SEVERE' in message or 'Error' in message] == []
