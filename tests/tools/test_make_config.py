"""From annotations to a trained detector, as processes."""

import json
import shlex
import shutil

import numpy as np
import pytest
from mmcv import Config
from PIL import Image
from tool_process import run_tool

from mmdet.apis.configuring import AnnotationError, Request, make_config
from mmdet.apis.configuring.models import ModelError
from mmdet.core.directives import NEGATIVES

SIDE = 64  # px
BOX = 16, 24, 40, 48  # xyxy px
TRAIN, VAL = ('a', 'b', 'c', 'd'), ('e', 'f')


def draw(folder, names):
    folder.mkdir(parents=True)
    for name in names:
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        image[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
        Image.fromarray(image).save(folder / f'{name}.png')


def write_voc(root, names):
    draw(root, names)
    x1, y1, x2, y2 = BOX
    box = f'<bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>'
    for name in names:
        (root / f'{name}.xml').write_text(f'<annotation><object><name>cat</name>{box}</object></annotation>')


def write_coco(root, names, categories=('cat',)):
    draw(root, names)
    x1, y1, x2, y2 = BOX
    images = [dict(id=i, file_name=f'{name}.png', width=SIDE, height=SIDE) for i, name in enumerate(names)]
    annotations = [
        dict(id=i, image_id=i, category_id=0, bbox=[x1, y1, x2 - x1, y2 - y1], area=576, iscrowd=0)
        for i in range(len(names))
    ]
    named = [dict(id=i, name=name) for i, name in enumerate(categories)]
    path = root / 'annotations.json'
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=named)))
    return path


def write_yolo(root):
    x1, y1, x2, y2 = (value / SIDE for value in BOX)
    for split, names in (('train', TRAIN), ('val', VAL)):
        draw(root / 'images' / split, names)
        (root / 'labels' / split).mkdir(parents=True)
        for name in names:
            line = f'0 {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n'
            (root / 'labels' / split / f'{name}.txt').write_text(line)
    (root / 'data.yaml').write_text('path: .\ntrain: images/train\nval: images/val\nnames: [cat]\n')
    return root / 'data.yaml'


def annotations(kind, root):
    """Options for data of one kind."""
    if kind == 'yolo':
        path = write_yolo(root)
        return ['--train', path, '--val', path]
    train, val = write_coco(root / 'train', TRAIN), write_coco(root / 'val', VAL)
    return ['--train', train, '--val', val, '--val-images', root / 'val']


@pytest.mark.parametrize('kind', ['yolo', 'coco'])  # VOC: tests/docs/test_first_hour.py
def test_three_commands_lead_from_each_format_to_a_detector_and_its_report(tmp_path, kind):
    options = annotations(kind, tmp_path / kind)
    before = {path: path.read_bytes() for path in (tmp_path / kind).rglob('*') if path.is_file()}
    out, work = tmp_path / 'my.py', tmp_path / 'run'
    made = run_tool('tools/make_config.py', *options, '--small', '--epochs', 1, '--out', out)
    assert f'python tools/train.py {out}' in made.text and 'cat 4' in made.text
    run_tool('tools/train.py', out, '--work-dir', work, '--cfg-options', 'data.workers_per_gpu=0')
    rows = [json.loads(line) for line in next(work.glob('*.log.json')).read_text().splitlines()[1:]]
    assert [row['mode'] for row in rows] == ['train', 'val'] and 0 < rows[0]['loss'] < 10 and 'bbox_AP/cat' in rows[1]
    assert '<title>' in (work / 'report.html').read_text()
    (line,) = (line for line in made.text.splitlines() if 'tools/predict.py' in line)
    _, script, images, *_ = shlex.split(line)
    predicted = tmp_path / 'predicted'
    run_tool(script, images, out, work / 'latest.pth', '--out-dir', predicted)
    assert {path.stem for path in predicted.rglob('*.png')} >= set(VAL)
    assert before == {path: path.read_bytes() for path in (tmp_path / kind).rglob('*') if path.is_file()}
    shutil.rmtree(work)  # 47 MB a checkpoint


def test_several_training_sets_are_joined_and_the_incomplete_one_gets_a_policy(tmp_path):
    own = write_coco(tmp_path / 'own', TRAIN, ('cat', 'dog'))
    other = write_coco(tmp_path / 'other', TRAIN, ('Cat',))
    val = write_coco(tmp_path / 'val', VAL, ('cat', 'dog'))
    request = Request(
        [own, other], tmp_path / 'my.py', val=val, val_images=val.parent, small=True, incomplete=['other']
    )
    made = make_config(request)
    cfg = Config.fromfile(str(made.path))
    assert cfg.data.train.classes == ['cat', 'dog'] and cfg.data.train.rename == dict(Cat='cat')
    assert [part.name for part in cfg.data.train.datasets] == ['own', 'other']
    assert cfg.data.train.datasets[1].directives == {NEGATIVES: 'overlap'} and cfg.model.directives == dict(
        weights=True
    )
    assert cfg.model.roi_head.bbox_head.num_classes == 2
    assert '# other does not know dog: its images get labeled_classes by themselves' in made.text
    assert '# mixing_report: own: no object is of dog' in made.text
    assert made.commands[1] == f'python tools/train.py {made.path}'


def test_without_validation_every_fifth_image_is_kept_for_it(tmp_path):
    write_voc(tmp_path / '2024', [f'{i}' for i in range(5)])
    other = write_coco(tmp_path / '2025', TRAIN, ('dog',))
    made = make_config(
        Request(
            [tmp_path / '2024', other.rename(tmp_path / '2025.json')],
            tmp_path / 'my.py',
            images=[tmp_path / '2024', tmp_path / '2025'],
            small=True,
        )
    )
    parts = {file.stem: json.loads(file.read_text()) for file in (tmp_path / 'my_data').iterdir()}
    assert [image['file_name'] for image in parts['val']['images']] == ['4.png'] and len(parts['2024']['images']) == 4
    assert [category['name'] for category in parts['val']['categories']] == ['cat', 'dog']  # one has no object there
    assert 'no --val was given: every fifth image of the first training set is for validation' in made.notes
    assert [part.name for part in Config.fromfile(str(made.path)).data.train.datasets] == ['2024', '2025']


def test_requests_that_cannot_be_met_are_named(tmp_path):
    path = write_coco(tmp_path / 'own', TRAIN)
    with pytest.raises(ModelError, match='learns masks, and the annotations have boxes alone'):
        make_config(Request([path], tmp_path / 'my.py', val=path, model='mask_rcnn_r50_fpn'))
    other = write_coco(tmp_path / 'other', VAL, ('dog',))
    with pytest.raises(AnnotationError, match=r'none of the classes for validation \(dog\) is trained: cat'):
        make_config(Request([path], tmp_path / 'my.py', val=other, small=True))
    write_voc(tmp_path / 'single', 'a')
    with pytest.raises(AnnotationError, match='has a single image: give others for validation'):
        make_config(Request([tmp_path / 'single'], tmp_path / 'my.py', small=True))
    with pytest.raises(AnnotationError, match='is a file .py'):
        make_config(Request([path], tmp_path / 'my.json'))
    done = run_tool('tools/make_config.py', '--train', path, '--out', 'x.py', '--incomplete', 'owm', check=False)
    assert done.status == 1 and done.error == 'error: --incomplete owm: the training sets are annotations.'
