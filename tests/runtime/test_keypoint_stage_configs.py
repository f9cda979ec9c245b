"""The ``stages`` of ``configs/keypoint_rcnn/`` through ``tools/train_stages.py``: a tiny detector, drawn shapes."""

import json
from pathlib import Path

import pytest
import torch
from mmcv import Config
from process import python
from test_keypoint_cli import KEYPOINTS, run
from tiny import ROOT, write_config

SHAPES = """
for split, name in (('train', 'clean'), ('val', 'val'), ('test', 'val')):
    data[split].update(classes=('disc', 'square'), ann_file='{data}/annotations/' + name + '.json',
                       img_prefix='{data}/' + name + '/')
"""
PROPOSING = ('backbone.', 'neck.', 'rpn_head.')


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """A folder with six drawn images of 64 px, whose objects have keypoints."""
    folder = tmp_path_factory.mktemp('shapes')
    python('tools/dataset_converters/make_shapes.py', folder, '--clean', 4, '--partial', 0, '--val', 2,
           '--size', 64, '--classes', 'disc', 'square')  # fmt: skip
    return folder


def weights(path):
    return torch.load(path, weights_only=True)['state_dict']


def in_process(script, *arguments):
    run(Path(script).stem, *arguments)


def train(shapes, name, tmp_path, start):
    """The stages of a config, an epoch of two steps each; gives the work dir and the names of the stages."""
    cfg = Config.fromfile(str(ROOT / f'configs/keypoint_rcnn/keypoint_rcnn_r50_fpn_1x_coco_{name}.py'))
    stages = [stage.to_dict() for stage in cfg.stages]
    for stage in stages:
        stage['options'] = {**stage.get('options', {}), 'runner.max_epochs': 1, 'lr_config.step': [1]}
    text = KEYPOINTS[: KEYPOINTS.index('proposing = ')]
    config = write_config(tmp_path, text + SHAPES.format(data=shapes) + f'stages = {stages}\n')
    start('tools/train_stages.py', config, '--work-dir', tmp_path / 'work')
    rows = json.loads((tmp_path / 'work/stages.json').read_text())['rows']
    assert [row['stage'] for row in rows] == [*(stage['name'] for stage in stages), 'final']
    assert all('AR@100' in row['figures'] for row in rows)
    assert all(('keypoints_mAP' in row['figures']) == ('rpn' not in row['stage']) for row in rows)
    return tmp_path / 'work'


def test_rpn_and_all_in_turn(shapes, tmp_path):
    work = train(shapes, 'in_turn', tmp_path, python)
    names = ('rpn', 'whole', 'rpn_again', 'whole_again')
    rpn, whole, rpn_again, whole_again = (weights(work / name / 'latest.pth') for name in names)
    assert all(key.startswith(PROPOSING) for key in rpn_again) and rpn_again.keys() == rpn.keys()
    learnt = 'rpn_head.rpn_conv.weight'
    assert len({whole[learnt].sum().item(), rpn[learnt].sum().item(), rpn_again[learnt].sum().item()}) == 3
    head = 'roi_head.keypoint_head.upsample.weight'
    assert not torch.equal(whole[head], whole_again[head])
    final = weights(work / 'final.pth')
    assert final.keys() == whole_again.keys() and all(torch.equal(final[key], whole_again[key]) for key in final)


def test_detector_on_a_trunk_and_an_rpn_that_stand_still(shapes, tmp_path):
    work = train(shapes, 'frozen', tmp_path, in_process)
    rpn, detector, final = (weights(work / name) for name in ('rpn/latest.pth', 'detector/latest.pth', 'final.pth'))
    kept = [key for key in detector if key.startswith(PROPOSING)]
    assert set(kept) == set(rpn) and all(torch.equal(detector[key], rpn[key]) for key in kept)
    assert all(torch.equal(final[key], detector[key]) for key in final)
