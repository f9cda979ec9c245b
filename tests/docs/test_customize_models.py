"""The parts of ``customize_models.md`` train, from a folder of the user's own and inside the tree."""

import json
import re
import shutil

import pytest
import torch
from pages import ROOT, write_files
from process import python
from tiny import CONFIG, draw_data

PAGE = ROOT / 'docs/tutorials/customize_models.md'
TABLE_ROW = re.compile(
    r'^\| [^|]+ \| `(mmdet/\S+\.py)` \| `(from \..+)` \| `(mmdet/\S+__init__\.py)` \|$', re.MULTILINE
)

PARTS = ('MobileNet', 'TwoWayPyramid', 'TwinRoIHead', 'TwinBBoxHead', 'MeanRoIExtractor', 'LogCoshLoss')

# stands where the page's configs expect Faster R-CNN on COCO: its model, fewer samples, data that are drawn here
MODEL = """
_base_ = ['{root}/configs/_base_/models/faster_rcnn_r50_fpn.py', '{root}/configs/_base_/default_runtime.py']
model = dict(train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50), rcnn=dict(sampler=dict(num=32))))
"""
DATA_AND_SCHEDULE = CONFIG[CONFIG.index('norm = dict(') :]
SMALL = (
    'runner.max_epochs=1',
    'model.backbone.width=0.125',
    'model.neck.in_channels=[16,32,64,128]',
    'model.roi_head.bbox_head.num_classes=2',
    'model.roi_head.bbox_head.fc_channels=32',
    'model.roi_head.bbox_head.conv_channels=32',
)


@pytest.fixture(scope='module')
def page_folder(tmp_path_factory):
    """The files of the page, and what they stand upon."""
    folder = tmp_path_factory.mktemp('customize_models')
    draw_data(folder)
    write_files(PAGE, folder)
    base = folder / 'configs/faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py'
    base.parent.mkdir(parents=True)
    base.write_text((MODEL + DATA_AND_SCHEDULE).format(root=ROOT, data=folder, classes=('red', 'green')))
    return folder


@pytest.fixture(scope='module')
def tree(tmp_path_factory, page_folder):
    """A copy of the package with the page's files where its table puts them."""
    folder = tmp_path_factory.mktemp('tree')
    shutil.copytree(ROOT / 'mmdet', folder / 'mmdet', ignore=shutil.ignore_patterns('__pycache__'))
    for file, line, init in TABLE_ROW.findall(PAGE.read_text()):
        shutil.copy(page_folder / 'my_parts' / file.rpartition('/')[2], folder / file)
        with open(folder / init, 'a') as lines:
            lines.write(f'\n{line}\n')
    return folder


def train(config, work_dir, path):
    """Losses of each step, and the weights at the end."""
    options = ('--work-dir', work_dir, '--seed', 3, '--no-validate', '--cfg-options', *SMALL)
    python('tools/train.py', config, *options, PYTHONPATH=path)
    used = (work_dir / config.name).read_text()
    assert all(f"type='{name}'" in used for name in PARTS)
    lines = [json.loads(line) for line in next(work_dir.glob('*.log.json')).read_text().splitlines()]
    weights = torch.load(work_dir / 'latest.pth', weights_only=True)['state_dict']
    return [line['loss'] for line in lines if line.get('mode') == 'train'], weights


def test_table_has_a_row_for_every_file_of_the_folder(page_folder):
    rows = TABLE_ROW.findall(PAGE.read_text())
    parts = {file.name for file in (page_folder / 'my_parts').glob('*.py')} - {'__init__.py'}
    assert {file.rpartition('/')[2] for file, _, _ in rows} == parts and len(rows) == 5
    assert all((ROOT / init).is_file() and not (ROOT / file).exists() for file, _, init in rows)


def test_parts_train_alike_from_a_folder_and_in_the_tree(page_folder, tree):
    own, own_weights = train(page_folder / 'all_parts_own_folder.py', page_folder / 'own', f'{ROOT}:{page_folder}')
    inside, inside_weights = train(page_folder / 'all_parts.py', page_folder / 'inside', str(tree))
    names = ('backbone.stem.conv.weight', 'neck.downs.0.conv.weight', 'roi_head.bbox_head.convs.0.conv.weight')
    assert set(names) <= set(own_weights)
    assert len(own) == 4 and all(0 < loss < 100 for loss in own)
    assert inside == own
    assert all(torch.equal(own_weights[name], inside_weights[name]) for name in names)
