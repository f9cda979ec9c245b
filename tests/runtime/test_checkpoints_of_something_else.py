"""Checkpoints of other models and classes, and damaged ones, given to the command lines."""

import logging
import shutil

import pytest
import torch
from mmcv import Config
from process import python
from tiny import CLASSES

from mmdet.apis import init_detector
from mmdet.apis.train import load_initial_weights
from mmdet.models import build_detector
from mmdet.utils.checkpoints.checkpoint import CheckpointMismatchError


@pytest.fixture
def checkpoint(tiny_run, tmp_path):
    """A function that gives a changed copy of the run's last checkpoint."""

    def changed(change):
        content = torch.load(tiny_run / 'work/epoch_2.pth', weights_only=True)
        change(content)
        torch.save(content, tmp_path / 'changed.pth')
        return tmp_path / 'changed.pth'

    return changed


def drop_backbone(content):
    for name in [name for name in content['state_dict'] if name.startswith('backbone')]:
        del content['state_dict'][name]


def last_line(done):
    assert done.returncode == 1, done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_testing_refuses_a_checkpoint_that_lacks_weights(tiny_run, checkpoint, tmp_path):
    path, out = checkpoint(drop_backbone), tmp_path / 'out.pkl'
    command = ('tools/test.py', tiny_run / 'tiny.py', path, '--out', out)
    line = last_line(python(*command, check=False))
    assert 'is not of this model' in line and 'backbone.conv1.weight' in line and '--allow-partial' in line
    assert not out.exists()
    python(*command, '--allow-partial')
    assert out.exists()


def test_testing_refuses_other_classes(tiny_run, checkpoint, tmp_path):
    path = checkpoint(lambda content: content['meta'].update(CLASSES=('red', 'blue')))
    command = ('tools/test.py', tiny_run / 'tiny.py', path, '--out', tmp_path / 'out.pkl')
    line = last_line(python(*command, check=False))
    assert "class 1 is 'blue' in the file and 'green' in the data" in line and '--allow-partial' in line


def test_inference_refuses_the_same(tiny_run, checkpoint):
    config = str(tiny_run / 'tiny.py')
    with pytest.raises(CheckpointMismatchError, match='allow_partial=True'):
        init_detector(config, str(checkpoint(drop_backbone)), device='cpu')
    assert init_detector(config, str(checkpoint(drop_backbone)), device='cpu', allow_partial=True).CLASSES == CLASSES
    path = checkpoint(lambda content: content['meta'].update(CLASSES=('green', 'red')))
    with pytest.raises(CheckpointMismatchError, match="class 0 is 'green' in the file and 'red'"):
        init_detector(config, str(path), device='cpu')


def test_training_refuses_load_from_without_most_of_the_backbone(tiny_run, checkpoint, tmp_path):
    path = checkpoint(drop_backbone)
    done = python(
        'tools/train.py',
        tiny_run / 'tiny.py',
        '--work-dir',
        tmp_path / 'w',
        '--cfg-options',
        f'load_from={path}',
        check=False,
    )
    assert done.returncode == 1 and '0% of the numbers of the backbone' in done.stderr
    assert 'min_loaded_fraction=0' in done.stderr and '| backbone' in done.stderr + done.stdout


@pytest.mark.parametrize(
    ('names', 'told'), [(('green', 'red'), True), (('red', 'green'), False), (('a', 'b', 'c'), False)]
)
def test_weights_to_begin_with_that_are_of_other_classes_are_told(tmp_path, caplog, names, told):
    model = torch.nn.Linear(2, 2)
    model.CLASSES = ('red', 'green')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(CLASSES=names)), tmp_path / 'a.pth')
    load_initial_weights(model, str(tmp_path / 'a.pth'), logging.getLogger('weights'), 0.5)
    assert ("class 0 is 'green' in the file and 'red' in the data" in caplog.text) == told


def test_resuming_with_another_number_of_classes_is_told_before_the_first_step(tiny_run, tmp_path):
    work = shutil.copytree(tiny_run / 'work', tmp_path / 'work', symlinks=True)
    line = last_line(
        python(
            *('tools/train.py', tiny_run / 'tiny.py', '--work-dir', work, '--auto-resume', '--cfg-options'),
            *('model.roi_head.bbox_head.num_classes=1', "data.train.classes=['red']", "data.val.classes=['red']"),
            check=False,
        )
    )
    assert 'roi_head.bbox_head.fc_cls.weight: file (3, 32), model (2, 32)' in line and 'use load_from' in line


def test_damaged_latest_checkpoint_falls_back_to_the_one_before(tiny_run, tmp_path):
    work = shutil.copytree(tiny_run / 'work', tmp_path / 'work', symlinks=True)
    whole = (work / 'epoch_2.pth').read_bytes()
    (work / 'epoch_2.pth').write_bytes(whole[: len(whole) // 2])
    command = ('tools/train.py', tiny_run / 'tiny.py', '--work-dir', work)
    line = last_line(python(*command, '--resume-from', work / 'latest.pth', check=False))
    assert 'cut off or damaged' in line and f'--resume-from {work / "epoch_1.pth"}' in line
    done = python(*command, '--auto-resume')
    assert f'resumed from {work / "epoch_1.pth"}' in done.stderr + done.stdout
    again = torch.load(work / 'epoch_2.pth', weights_only=True)['state_dict']
    before = torch.load(tiny_run / 'work/epoch_2.pth', weights_only=True)['state_dict']
    assert all(torch.equal(again[name], before[name]) for name in before)


def test_weights_that_a_hook_averages_do_not_count_as_missing(tiny_run):
    from mmdet.utils.checkpoints.checkpoint import load_checkpoint

    model = build_detector(Config.fromfile(str(tiny_run / 'tiny.py')).model)
    model.register_buffer('ema_backbone_conv1_weight', torch.zeros(1))
    load_checkpoint(model, tiny_run / 'work/epoch_2.pth', complete='!')
