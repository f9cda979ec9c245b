import logging
import math
from types import SimpleNamespace

import cv2
import mmcv
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from mmdet.core.hook import (
    CheckInvalidLossHook,
    DataTimeHook,
    ExpMomentumEMAHook,
    LinearMomentumEMAHook,
    SetEpochInfoHook,
    SetIterHook,
    SyncRandomSizeHook,
    YOLOXLrUpdaterHook,
    YOLOXModeSwitchHook,
)
from mmdet.core.hook.sync_norm_hook import get_norm_states
from mmdet.datasets import CustomDataset


def stub(**kwargs):
    """A runner with the given attributes."""
    return SimpleNamespace(
        **{'iter': 0, 'epoch': 0, 'rank': 0, 'world_size': 1, 'logger': logging.getLogger(), **kwargs}
    )


def test_invalid_loss_stops_at_its_interval_and_names_the_parts():
    hook = CheckInvalidLossHook(interval=2)
    outputs = dict(loss=torch.tensor(math.nan), log_vars=dict(loss_cls=math.nan))
    hook.after_train_iter(stub(outputs=outputs))
    with pytest.raises(AssertionError, match='iteration 2.*loss_cls'):
        hook.after_train_iter(stub(iter=1, outputs=outputs))


def ema_run(hook, values):
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(values[0])
    runner = stub(model=model)
    hook.before_run(runner)
    for runner.iter, value in enumerate(values[1:]):
        model.weight.data.fill_(value)
        hook.after_train_iter(runner)
    return model, hook


def test_linear_ema_averages_and_swaps():
    # momentum min(0.5, (1 + i) / (1 + i)) = 0.5: 0 -> 1 -> 2.5
    model, hook = ema_run(LinearMomentumEMAHook(momentum=0.5, warm_up=1), [0.0, 2.0, 4.0])
    assert model.ema_weight.item() == pytest.approx(2.5)
    hook.after_train_epoch(None)
    assert (model.weight.item(), model.ema_weight.item()) == pytest.approx((2.5, 4.0))
    hook.before_train_epoch(None)
    assert (model.weight.item(), model.ema_weight.item()) == pytest.approx((4.0, 2.5))


@pytest.mark.parametrize(('iteration', 'momentum'), [(0, 1 / 4), (1, 2 / 5), (4, 5 / 8), (8, 0.75), (9, 0.75)])
def test_linear_ema_warms_up_by_its_formula(iteration, momentum):
    hook = LinearMomentumEMAHook(momentum=0.75, warm_up=4)  # min(0.75, (1 + i) / (4 + i))
    assert hook.get_momentum(stub(iter=iteration)) == pytest.approx(momentum)
    both = LinearMomentumEMAHook(momentum=0.5, warm_up=4, interval=2)
    assert both.get_momentum(stub(iter=100)) == 0.25  # momentum ** interval


def test_exponential_ema_follows_its_formula():
    model, _ = ema_run(ExpMomentumEMAHook(momentum=0.1, total_iter=2), [0.0, 1.0])
    assert model.ema_weight.item() == pytest.approx(0.9 * math.exp(-0.5) + 0.1)
    with pytest.raises(ValueError, match='momentum'):
        LinearMomentumEMAHook(momentum=1.5)


def test_ema_takes_its_averages_from_the_checkpoint_of_a_resumed_run():
    resumed = []
    runner = stub(model=nn.Linear(1, 1), resumed_from='epoch_1.pth', resume=resumed.append)
    ExpMomentumEMAHook().before_run(runner)
    assert resumed == ['epoch_1.pth']


def test_epoch_is_handed_to_the_model():
    model = nn.Module()
    model.set_epoch = lambda epoch: setattr(model, 'epoch', epoch)
    SetEpochInfoHook().before_train_epoch(stub(model=model, epoch=4))
    assert model.epoch == 4


def test_norm_states_are_those_of_normalisation_layers():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.Sequential(nn.GroupNorm(1, 1)))
    names = set(get_norm_states(net))
    assert names == {f'1.{n}' for n in net[1].state_dict()} | {'2.0.weight', '2.0.bias'}
    assert names <= set(net.state_dict())


def test_random_size_reaches_the_data_set():
    sizes = []
    dataset = SimpleNamespace(update_dynamic_scale=sizes.append)
    hook = SyncRandomSizeHook(ratio_range=(5, 5), img_scale=(640, 320), interval=2, device='cpu')
    for epoch in (0, 1):
        hook.after_train_epoch(stub(epoch=epoch, data_loader=SimpleNamespace(dataset=dataset)))
    assert sizes == [(160, 64)]
    with pytest.raises(TypeError, match='update_dynamic_scale'):
        hook.after_train_epoch(stub(epoch=1, data_loader=SimpleNamespace(dataset=[])))


@pytest.mark.parametrize('by_epoch', [True, False])
def test_yolox_rate_falls_to_its_floor_in_the_last_epochs(by_epoch):
    hook = YOLOXLrUpdaterHook(num_last_epochs=2, by_epoch=by_epoch, min_lr_ratio=0.05, warmup_iters=0)
    last = dict(epoch=7, iter=79, max_epochs=10, max_iters=100, data_loader=range(10))
    assert hook.get_lr(stub(**last), 1.0) == pytest.approx(0.05)
    middle = dict(last, epoch=3, iter=39)
    assert hook.get_lr(stub(**middle), 1.0) == pytest.approx(0.525)


def test_yolox_warmup_grows_with_the_square():
    hook = YOLOXLrUpdaterHook(num_last_epochs=1, warmup='exp', warmup_iters=4, warmup_ratio=1, min_lr=0)
    hook.base_lr = [2.0]
    assert [hook.get_warmup_lr(i)[0] for i in (0, 1, 3)] == [0.125, 0.5, 2.0]


def test_yolox_mode_switches_once_also_after_a_late_resume():
    keys = []
    dataset = SimpleNamespace(update_skip_type_keys=keys.append)
    loader = SimpleNamespace(dataset=dataset, persistent_workers=True, _iterator='old')
    model = nn.Module()
    model.bbox_head = SimpleNamespace(use_l1=False)
    hook = YOLOXModeSwitchHook(num_last_epochs=3)
    wrapped = SimpleNamespace(loader=loader)
    for epoch in (5, 8, 9):
        hook.before_train_epoch(stub(epoch=epoch, max_epochs=10, data_loader=wrapped, model=model))
        assert model.bbox_head.use_l1 == (epoch > 5)
    assert keys == [('Mosaic', 'RandomAffine', 'MixUp')] and loader._iterator is None


def test_fraction_of_the_time_that_data_take():
    logged = {}
    buffer = SimpleNamespace(val_history=dict(time=[1.0, 2.0], data_time=[1.0, 0.5]), update=logged.update)
    DataTimeHook().after_iter(stub(log_buffer=buffer))
    assert logged['data_time_fraction'] == 0.25
    DataTimeHook().after_iter(stub(log_buffer=SimpleNamespace(val_history={})))


@pytest.mark.parametrize('iteration, told', [(0, []), (7, [7])])
def test_set_iter_hook_tells_modules_where_a_resumed_run_is(iteration, told):
    class Scheduled(nn.Module):
        def __init__(self):
            super().__init__()
            self.told = []

        def set_iter(self, number):
            self.told.append(number)

    scheduled = Scheduled()
    SetIterHook().before_run(stub(iter=iteration, model=nn.Sequential(nn.Linear(1, 1), scheduled)))
    assert scheduled.told == told


def test_hook_of_mmcvs_name_averages_parameters_alone_and_goes_on_from_the_weights(tmp_path):
    from mmcv.runner import HOOKS

    hook = HOOKS.build(dict(type='EMAHook', momentum=0.5, warm_up=1))
    model, _ = ema_run(hook, [0.0, 2.0, 4.0])
    assert model.ema_weight.item() == pytest.approx(2.5)
    hook.after_train_epoch(None)  # what is saved has the averages in the place of the weights
    torch.save(model.state_dict(), tmp_path / 'a.pth')
    resumed = nn.Linear(1, 1, bias=False)
    runner = stub(model=resumed, resumed_from='a.pth')
    runner.resume = lambda path: resumed.load_state_dict(torch.load(tmp_path / path))
    resumed.weight.data.copy_(model.weight)  # as the runner has loaded it
    again = HOOKS.build(dict(type='EMAHook', momentum=0.5, warm_up=1))
    again.before_run(runner)
    again.before_train_epoch(runner)
    assert (resumed.weight.item(), resumed.ema_weight.item()) == pytest.approx((4.0, 2.5))


def test_random_size_is_that_of_the_images_of_the_next_epoch(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((40, 40, 3), np.uint8))
    mmcv.dump([dict(filename='a.png', width=40, height=40)], str(tmp_path / 'ann.json'))
    steps = [dict(type='LoadImageFromFile'), dict(type='Resize', img_scale=(64, 64), keep_ratio=False)]
    dataset = CustomDataset(str(tmp_path / 'ann.json'), steps, classes=('a',), img_prefix=str(tmp_path), test_mode=True)
    loader = DataLoader(dataset, num_workers=1, persistent_workers=True, collate_fn=lambda items: items[0]['img'].shape)
    hook = SyncRandomSizeHook(ratio_range=(3, 3), img_scale=(32, 64))
    assert list(loader) == [(64, 64, 3)]
    hook.after_train_epoch(stub(epoch=0, data_loader=loader))
    assert list(loader) == [(192, 96, 3)]
