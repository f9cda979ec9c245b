"""Checkpoints whose file is whole, and whose content is not what a checkpoint has."""

import pytest
import torch
from torch import nn

from mmdet.utils.checkpoints.checkpoint import CheckpointMismatchError, load_checkpoint, read_checkpoint
from mmdet.utils.checkpoints.content_check import check_progress
from mmdet.utils.checkpoints.file_check import DamagedCheckpointError

WEIGHTS = {'weight': torch.ones(2, 3), 'bias': torch.zeros(2)}


def write(folder, content):
    torch.save(content, folder / 'c.pth')
    return folder / 'c.pth'


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        (dict(state_dict=None), "'state_dict' must be a dict of tensors, it is a NoneType"),
        (dict(state_dict=[1]), "'state_dict' must be a dict of tensors, it is a list"),
        (dict(state_dict={3: torch.ones(2)}), "'state_dict' must have names of tensors as keys, it has 3"),
        (dict(state_dict=dict(weight=3)), "'state_dict' must hold tensors, 'weight' is a int: 3"),
        (dict(state_dict=WEIGHTS, meta=[1]), "'meta' must be a dict, the file holds a list"),
        (
            dict(state_dict=WEIGHTS, meta=dict(CLASSES=3)),
            r"meta\['CLASSES'\] must be a list of names, the file holds 3",
        ),
        (dict(state_dict=WEIGHTS, meta=dict(CLASSES=(1, 2))), '.*must be a list of names'),
    ],
)
def test_content_of_another_kind_is_told_with_the_file(tmp_path, content, text):
    with pytest.raises(DamagedCheckpointError, match=f'c.pth: {text}'):
        read_checkpoint(write(tmp_path, content))


def test_content_that_is_sure_is_read(tmp_path):
    assert read_checkpoint(write(tmp_path, dict(state_dict=WEIGHTS, meta=None)))['meta'] == {}
    content = read_checkpoint(write(tmp_path, dict(state_dict=WEIGHTS, meta=dict(CLASSES='cat'))))
    assert content['meta']['CLASSES'] == ('cat',)  # not three classes of a letter
    assert set(read_checkpoint(write(tmp_path, WEIGHTS))) == {'weight', 'bias'}
    state = dict(WEIGHTS, layer_extra_state=dict(scale=1))
    assert read_checkpoint(write(tmp_path, dict(state_dict=state)))['state_dict']['layer_extra_state'] == dict(scale=1)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    path = write(tmp_path, dict(state_dict=dict(WEIGHTS, bias=torch.tensor([0.0, value]))))
    with pytest.raises(DamagedCheckpointError, match=r'c.pth: 1 of 2 tensors are infinite or NaN in places \(bias\)'):
        load_checkpoint(nn.Linear(3, 2), path)
    unused = write(tmp_path, dict(state_dict=dict(WEIGHTS, other=torch.tensor([value]))))
    load_checkpoint(nn.Linear(3, 2), unused)  # no part of the model


@pytest.mark.parametrize('kind', [torch.int32, torch.complex64])
def test_weights_of_another_kind_of_number_do_not_fit(tmp_path, kind):
    path = write(tmp_path, dict(state_dict=dict(WEIGHTS, weight=torch.ones(2, 3).to(kind))))
    with pytest.raises(
        CheckpointMismatchError, match=rf'1 have another shape.* \(weight: file {kind}, model torch.float32'
    ):
        load_checkpoint(nn.Linear(3, 2), path, complete='advice')
    halves = write(tmp_path, dict(state_dict={name: value.half() for name, value in WEIGHTS.items()}))
    model = nn.Linear(3, 2)
    load_checkpoint(model, halves, complete='advice')
    assert model.weight.tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        (dict(meta={}), 'has weights only, no epoch and iter; use load_from'),
        (dict(meta=dict(epoch='1', iter=1)), r"meta\['epoch'\] must be a whole number from 0 on, the file holds '1'"),
        (dict(meta=dict(epoch=1, iter=-1)), r"meta\['iter'\] must be a whole number from 0 on"),
        (dict(meta=dict(epoch=1, iter=1, hook_msgs=3)), r"meta\['hook_msgs'\] must be a dict, it is 3"),
        (dict(optimizer=[1]), "'optimizer' must be a dict, it is a list"),
        (dict(runner_state='x'), "'runner_state' must be a dict, it is a str"),
    ],
)
def test_checkpoint_that_no_run_can_go_on_from_is_told(changes, text):
    content = dict(state_dict=WEIGHTS, meta=dict(epoch=1, iter=4), optimizer={})
    check_progress(content, 'c.pth')
    with pytest.raises(DamagedCheckpointError, match=f'c.pth:? {text}'):
        check_progress({**content, **changes}, 'c.pth')
