"""docs/first_hour.md from its first command to its last, on tiny data."""

import json
import shlex

import cv2
import numpy as np
from pages import ROOT, blocks
from process import environment, forked

from mmdet.__main__ import commands

PAGE = ROOT / 'docs/first_hour.md'
SIDE = 64  # px
# what makes a command short; a page in the browser has tests of its own (tests/browser)
SHORTER = {'make-config': ['--epochs', '1', '--small'], 'find-label-errors': ['--folds', '2'], 'serve': None}
OBJECT = '<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>'


def draw_voc(root):
    """Eight photos with a raccoon or a kangaroo each, in Pascal VOC's layout."""
    rng = np.random.default_rng(0)
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (root / name).mkdir(parents=True)
    for i in range(8):
        image = rng.integers(0, 80, (SIDE, SIDE, 3), dtype=np.uint8)
        x, y = rng.integers(4, 30, 2).tolist()
        image[y : y + 24, x : x + 24] = (40, 40, 220) if i % 2 else (220, 40, 40)
        cv2.imwrite(str(root / f'JPEGImages/{i}.jpg'), image)
        box = OBJECT.format('kangaroo' if i % 2 else 'raccoon', x + 1, y + 1, x + 24, y + 24)
        size = f'<size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>'
        (root / f'Annotations/{i}.xml').write_text(f'<annotation>{size}{box}</annotation>')
    (root / 'ImageSets/Main/train.txt').write_text('0\n1\n2\n3\n4\n5\n')
    (root / 'ImageSets/Main/val.txt').write_text('6\n7\n')


def run(line, folder):
    program, name, *arguments = shlex.split(line)
    assert program == 'mmdet'
    shorter = SHORTER.get(name, [])
    if shorter is None:
        return ''
    done = forked([str(commands()[name]), *arguments, *shorter], environment(MPLBACKEND='Agg'), folder=folder)
    assert done.returncode == 0, f'{line}:\n{done.stdout}\n{done.stderr}'
    return done.stdout + done.stderr


def test_first_hour_runs_as_it_is_written(tmp_path):
    draw_voc(tmp_path / 'data/raccoons')
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/new.jpg').write_bytes((tmp_path / 'data/raccoons/JPEGImages/7.jpg').read_bytes())
    lines = [line for block in blocks(PAGE, 'bash') for line in block.splitlines() if line]
    texts = {line.split()[1]: run(line, tmp_path) for line in lines}
    assert len(lines) == 10 and all(f'{name} 3' in texts['make-config'] for name in ('kangaroo', 'raccoon'))
    assert len(list((tmp_path / 'pictures').rglob('*.jpg'))) == 6
    work = tmp_path / 'work_dirs/raccoons'
    assert '<title>' in (work / 'report.html').read_text()
    assert isinstance(json.loads((tmp_path / 'out/detections.json').read_text()), list)
    assert (tmp_path / 'out/new.jpg').is_file()
    mended = next((tmp_path / 'work_dirs/labels').glob('annotations_*.json'))
    assert len(json.loads(mended.read_text())['images']) == 6
