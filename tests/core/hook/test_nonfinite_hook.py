"""Runs whose losses, gradients or weights stop being numbers, on a toy model."""

import logging
import math
import time

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import mmdet.core.hook  # noqa: F401 - registers the checkpoint hook
from mmdet.core.hook.diagnostics.batch_report import describe_batch
from mmdet.core.hook.nonfinite_hook import NonFiniteHook
from mmdet.utils.checkpoints.checkpoint import save_checkpoint
from mmdet.utils.errors import NonFiniteError
from mmdet.utils.running.runner import build_runner

STEPS = 4  # an epoch


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)


class Poison(torch.autograd.Function):
    """The identity with gradients that are NaN."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * math.nan


class Toy(nn.Module):
    """Learns from numbers; NaN is among the losses (or gradients) of chosen iterations, counted from 1."""

    def __init__(self, bad_losses=(), bad_gradients=(), on_device=False):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.norm = nn.Linear(1, 4), nn.BatchNorm1d(4)
        self.bad_losses, self.bad_gradients, self.on_device = bad_losses, bad_gradients, on_device
        self.count = 0

    def train_step(self, data, optimizer):
        self.count += 1
        data = data['img'] * math.nan if self.count in self.bad_losses else data['img']
        out = self.norm(self.layer(data))
        out = Poison.apply(out) if self.count in self.bad_gradients else out
        loss = (out - 3).pow(2).mean()
        read = loss.detach() if self.on_device else loss.item()
        return dict(loss=loss, log_vars=dict(loss_toy=read, accuracy=math.nan, loss=read), num_samples=len(data))

    val_step = train_step


def samples():
    return [dict(img=torch.tensor([float(i)])) for i in range(2 * STEPS)]


def train(folder, model, mode='stop', epochs=2):
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    parts = dict(model=model, optimizer=optimizer, work_dir=str(folder), logger=logging.getLogger('toy'), meta={})
    runner = build_runner(dict(type='EpochBasedRunner', max_epochs=epochs), parts)
    checkpoints = dict(type='ResumableCheckpointHook', interval=1, max_keep_ckpts=1)
    runner.register_training_hooks(dict(policy='fixed'), dict(grad_clip=None), checkpoints)
    hook = NonFiniteHook(mode)
    runner.register_hook(hook, priority='VERY_HIGH')
    runner.run([DataLoader(samples(), 2)], [('train', 1)])
    return hook


@pytest.mark.parametrize('on_device', [False, True])
def test_run_stops_with_names_of_losses_batch_and_last_checkpoint(tmp_path, on_device):
    model = Toy(bad_losses=[6], on_device=on_device)
    with pytest.raises(NonFiniteError) as error:
        train(tmp_path, model)
    text = str(error.value)
    assert 'iteration 6 (epoch 2): loss_toy=nan, loss=nan not finite' in text and 'accuracy' not in text
    assert 'image 0: 1 pixels from 2 to 2, mean 2 | image 1: 1 pixels from 3' in text
    assert f'last good checkpoint is {tmp_path}/latest.pth' in text
    assert (tmp_path / 'epoch_1.pth').exists() and not (tmp_path / 'epoch_2.pth').exists()


def test_losses_on_the_host_are_seen_before_the_weights_change(tmp_path):
    model = Toy(bad_losses=[3])
    with pytest.raises(NonFiniteError, match='There is no checkpoint yet'):
        train(tmp_path, model)
    assert model.count == 3 and all(torch.isfinite(p).all() for p in model.parameters())


def test_gradients_are_named_with_their_iteration(tmp_path):
    with pytest.raises(NonFiniteError, match=r'iteration 4 .*4 of 4 gradients not finite \(first: layer.weight\)'):
        train(tmp_path, Toy(bad_gradients=[4]))
    assert not list(tmp_path.glob('*.pth'))


def weights_after(folder, **changes):
    model = Toy(**changes)
    hook = train(folder, model, mode='skip')
    return model, hook.skipped


@pytest.mark.parametrize('kind', ['bad_losses', 'bad_gradients'])
def test_skipped_steps_are_counted_and_leave_no_trace(tmp_path, kind):
    model, skipped = weights_after(tmp_path, **{kind: [2, 5]})
    assert skipped == 2 and model.count == 2 * STEPS
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['state_dict']
    assert all(torch.isfinite(value).all() for value in saved.values())
    # as if the batches of these two iterations had never been there
    other, optimizer = Toy(), None
    optimizer = torch.optim.SGD(other.parameters(), 0.01, momentum=0.9)
    for number in range(2 * STEPS):
        if number + 1 in (2, 5):
            continue
        first = 2 * (number % STEPS)
        loss = other.train_step(dict(img=torch.tensor([[first], [first + 1.0]])), None)['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, value in other.state_dict().items():
        if 'num_batches' not in name:
            assert torch.allclose(value, model.state_dict()[name]), name


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="on_nonfinite: expected one of stop, skip, got 'halt'"):
        NonFiniteHook('halt')


@pytest.mark.parametrize('where', ['weight', 'buffer', 'momentum'])
def test_no_checkpoint_with_infinite_numbers_replaces_a_good_one(tmp_path, where):
    model = Toy()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    model.train_step(dict(img=torch.ones(2, 1)), None)['loss'].backward()
    optimizer.step()
    save_checkpoint(model, tmp_path / 'a.pth', optimizer)
    good = (tmp_path / 'a.pth').read_bytes()
    spoilt = dict(weight=model.layer.bias.data, buffer=model.norm.running_var)
    spoilt['momentum'] = optimizer.state[model.layer.bias]['momentum_buffer']
    spoilt[where][1] = math.inf
    names = dict(weight='state_dict.layer.bias', buffer='state_dict.norm.running_var', momentum='optimizer.state.1.')
    with pytest.raises(NonFiniteError, match=f'a.pth is not written: {names[where]}'):
        save_checkpoint(model, tmp_path / 'a.pth', optimizer)
    assert (tmp_path / 'a.pth').read_bytes() == good


def test_description_of_a_batch_tells_files_pixels_and_boxes():
    image = torch.zeros(2, 3, 2, 2)
    image[0, 0, 0, 0], image[1, 2, 1, 1] = math.nan, 8
    metas = [dict(filename='a.jpg'), dict(filename='b.jpg')]
    boxes = [torch.zeros(0, 4), torch.tensor([[0.0, 0, 2, 5], [1, 1, 2, 2]])]
    assert describe_batch(dict(img=image, img_metas=metas, gt_bboxes=boxes)) == [
        'a.jpg: 3x2x2 pixels from 0 to 0, mean 0, 1 of them NaN or infinite; no box',
        'b.jpg: 3x2x2 pixels from 0 to 8, mean 0.6667; 2 boxes, sides from 1 to 5 px',
    ]
