from types import SimpleNamespace

import pytest
from mmcv import ConfigDict
from torch import nn

from mmdet.core.hook import ScheduleValueHook, SetProgressHook


class Told(nn.Module):
    def __init__(self):
        super().__init__()
        self.told = []

    def set_progress(self, progress):
        self.told.append(progress)


def run_of(model, **kwargs):
    logged = {}
    buffer = SimpleNamespace(update=logged.update)
    settings = {'iter': 0, 'max_iters': 8, 'data_loader': range(4), 'log_buffer': buffer, 'logged': logged, **kwargs}
    return SimpleNamespace(model=model, **settings)


def test_progress_is_that_of_the_runner_after_a_resume_too():
    model = nn.Sequential(nn.Linear(1, 1), Told())
    hook, runner = SetProgressHook(), run_of(model, iter=6)
    hook.before_run(runner)
    for runner.iter in (6, 7):
        hook.before_train_iter(runner)
    assert model[1].told == [0.75, 0.875]


@pytest.fixture
def model():
    net = nn.Module()
    net.head = nn.ModuleList([nn.Module(), nn.Module()])
    net.head[1].loss = SimpleNamespace(loss_weight=9.0)
    net.test_cfg = ConfigDict(rcnn=dict(max_per_img=100))
    return net


def test_value_deep_in_the_model_follows_the_progress_and_is_logged(model):
    schedule = dict(policy='linear', start=1.0, value=3.0)
    hook = ScheduleValueHook('head.1.loss.loss_weight', schedule, log_as='box_weight')
    runner = run_of(model)
    hook.before_run(runner)
    assert model.head[1].loss.loss_weight == 9.0
    for runner.iter, value in ((0, 1.0), (4, 2.0)):
        hook.before_train_iter(runner)
        hook.after_train_iter(runner)
        assert model.head[1].loss.loss_weight == runner.logged['box_weight'] == value


def test_config_value_follows_the_epochs_in_whole_numbers(model):
    schedule = dict(policy='points', points=[(0, 100), (2, 300)])
    hook = ScheduleValueHook('test_cfg.rcnn.max_per_img', schedule, unit='epoch', round_to_int=True)
    for iteration, value in ((0, 100), (3, 175), (8, 300)):
        hook.before_train_iter(run_of(model, iter=iteration))
        assert model.test_cfg.rcnn.max_per_img == value and isinstance(model.test_cfg.rcnn.max_per_img, int)


@pytest.mark.parametrize(
    'name, text',
    [
        ('head.2.loss', "ModuleList has no '2'"),
        ('heed.1', 'heed.*head'),
        ('test_cfg.rcnn.max_per_image', 'max_per_img'),
        ('head.1.loss.weight', "SimpleNamespace has no 'weight'"),
    ],
)
def test_value_that_is_not_there_is_named_before_the_first_step(model, name, text):
    with pytest.raises(KeyError, match=text):
        ScheduleValueHook(name, {}).before_run(run_of(model))


def test_unknown_unit_is_refused():
    with pytest.raises(ValueError, match='epoch'):
        ScheduleValueHook('a', {}, unit='epochs')
