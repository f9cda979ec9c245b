"""Runs that are interrupted and resumed, on a toy model and toy data, in one process."""

import logging
import random
import time

import numpy as np
import pytest
import torch
from mmcv.runner import RUNNERS, EpochBasedRunner, Hook
from torch import nn
from torch.utils.data import DataLoader, Dataset

import mmdet.core.hook  # noqa: F401 - registers the checkpoint hook
from mmdet.utils.checkpoints.checkpoint import CheckpointMismatchError
from mmdet.utils.checkpoints.file_check import DamagedCheckpointError
from mmdet.utils.running.resumable_loader import ResumableLoader
from mmdet.utils.running.rng import get_rng_state, preserved_rng, set_rng_state
from mmdet.utils.running.runner import build_runner, resumable

SAMPLES, BATCH = 10, 2


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """mmcv's runners sleep between passes and at the end."""
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)


class Noisy(Dataset):
    """Samples with random augmentation from all three generators."""

    def __len__(self):
        return SAMPLES

    def __getitem__(self, i):
        noise = random.random() + np.random.rand() + torch.rand(1).item()
        return torch.tensor([float(i), noise])


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        self.losses = []

    def train_step(self, data, optimizer):
        loss = self.layer(data / SAMPLES).pow(2).mean()
        self.losses.append(loss.item())
        return dict(loss=loss, log_vars={}, num_samples=len(data))

    val_step = train_step


def make_run(folder, by_epoch=True, total=3, stop_after=None):
    """A runner of 3 epochs or 13 iterations (over two passes of 5), stopped when ``stop_after`` is saved."""
    model = Toy()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    cfg = dict(type='EpochBasedRunner', max_epochs=total) if by_epoch else dict(type='IterBasedRunner', max_iters=total)
    runner = build_runner(cfg, dict(model=model, optimizer=optimizer, work_dir=str(folder), logger=logging.getLogger()))
    checkpoint_config = dict(type='ResumableCheckpointHook', interval=1 if by_epoch else 4)
    runner.register_training_hooks(dict(policy='poly', power=1), dict(grad_clip=None), checkpoint_config)
    if stop_after:
        saved = runner.save_checkpoint

        def save_and_stop(*args, **kwargs):
            saved(*args, **kwargs)
            if (runner.epoch if by_epoch else runner.iter) + 1 == stop_after:
                raise KeyboardInterrupt

        runner.save_checkpoint = save_and_stop
    return runner


def run(runner, seed, workflow=(('train', 1),)):
    """Train, from the random states of ``seed``; gives losses and final weights."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    loaders = [DataLoader(Noisy(), BATCH, shuffle=mode == 'train') for mode, _ in workflow]
    runner.run(loaders, list(workflow))
    return runner.model.losses, runner.model.state_dict()


@pytest.mark.parametrize(('by_epoch', 'total', 'stop_after'), [(True, 3, 2), (False, 13, 8), (False, 13, 4)])
def test_resumed_run_equals_the_uninterrupted_one(tmp_path, by_epoch, total, stop_after):
    losses, weights = run(make_run(tmp_path / 'whole', by_epoch, total), seed=7)
    with pytest.raises(KeyboardInterrupt):
        run(make_run(tmp_path / 'cut', by_epoch, total, stop_after), seed=7)
    rest = make_run(tmp_path / 'cut', by_epoch, total)
    rest.resume(str(tmp_path / 'cut/latest.pth'))
    rest_losses, rest_weights = run(rest, seed=99)
    assert rest_losses == losses[-len(rest_losses) :]
    assert len(rest_losses) == len(losses) - stop_after * (SAMPLES // BATCH if by_epoch else 1)
    assert all(torch.equal(weights[name], rest_weights[name]) for name in weights)
    assert rest.optimizer.param_groups[0]['lr'] == pytest.approx(0.1 / 3 if by_epoch else 0.1 / 13)


def test_hooks_may_add_to_what_is_saved(tmp_path):
    class Counter(Hook):
        def before_save_checkpoint(self, runner):
            runner.meta = dict(epochs_done=runner.epoch + 1)

    runner = make_run(tmp_path, total=2)
    runner.register_hook(Counter())
    run(runner, seed=7)
    saved = [torch.load(tmp_path / f'epoch_{n}.pth', weights_only=True)['meta']['epochs_done'] for n in (1, 2)]
    assert saved == [1, 2]


def test_pass_resumed_at_its_end_is_empty_and_the_next_one_whole():
    loader = ResumableLoader(DataLoader(Noisy(), BATCH, shuffle=True))
    assert len(list(loader)) == loader.state()['given'] == SAMPLES // BATCH
    loader.resume(loader.state())
    assert list(loader) == [] and len(list(loader)) == SAMPLES // BATCH


def test_rest_of_a_pass_has_the_samples_that_were_left():
    loader = ResumableLoader(DataLoader(Noisy(), BATCH, shuffle=True))
    batches = iter(loader)
    given = [next(batches)[:, 0].tolist() for _ in range(2)]
    state = loader.state()
    left = [batch[:, 0].tolist() for batch in batches]
    fresh = ResumableLoader(DataLoader(Noisy(), BATCH, shuffle=True))
    fresh.resume(state)
    assert [batch[:, 0].tolist() for batch in fresh] == left
    assert sorted(sum(given + left, [])) == list(range(SAMPLES))


def test_validation_epochs_do_not_change_the_training(tmp_path):
    plain, _ = run(make_run(tmp_path / 'a'), seed=1)
    mixed = make_run(tmp_path / 'b')
    run(mixed, seed=1, workflow=(('train', 1), ('val', 1)))
    per_epoch = SAMPLES // BATCH
    trained = [x for e in range(3) for x in mixed.model.losses[2 * e * per_epoch : (2 * e + 1) * per_epoch]]
    assert trained == plain and len(mixed.model.losses) == 6 * per_epoch


def test_random_states_survive_a_checkpoint_and_are_preserved():
    set_rng_state(state := get_rng_state())
    first = random.random(), np.random.rand(), torch.rand(1).item(), np.random.randn(), random.gauss(0, 1)
    set_rng_state(state)
    with preserved_rng():
        random.random(), np.random.rand(3), torch.rand(3)
    assert first == (random.random(), np.random.rand(), torch.rand(1).item(), np.random.randn(), random.gauss(0, 1))


def test_checkpoint_without_progress_is_no_point_to_resume_from(tmp_path):
    runner = make_run(tmp_path)
    torch.save({'state_dict': runner.model.state_dict(), 'meta': {}}, tmp_path / 'weights.pth')
    with pytest.raises(DamagedCheckpointError, match='use load_from'):
        runner.resume(str(tmp_path / 'weights.pth'))


def test_run_of_other_classes_is_not_gone_on_with(tmp_path):
    runner = make_run(tmp_path)
    runner.model.CLASSES = ('red', 'green')
    runner.save_checkpoint(str(tmp_path))
    runner.model.CLASSES = ('green', 'red')
    with pytest.raises(
        CheckpointMismatchError, match="class 0 is 'red' in the file and 'green' in the data. .*load_from"
    ):
        runner.resume(str(tmp_path / 'latest.pth'))
    del runner.model.CLASSES
    runner.resume(str(tmp_path / 'latest.pth'))


def test_best_score_comes_back_and_the_new_run_keeps_its_own_meta(tmp_path):
    runner = make_run(tmp_path)
    runner.meta = dict(seed=1, hook_msgs=dict(best_score=np.float32(0.5), best_ckpt='x.pth'))
    runner.save_checkpoint(str(tmp_path))
    other = make_run(tmp_path)
    other.meta = dict(seed=2)
    other.resume(str(tmp_path / 'latest.pth'))
    assert other.meta['seed'] == 2 and other.meta['hook_msgs'] == dict(best_score=0.5, best_ckpt='x.pth')


def test_more_processes_than_before_rescale_the_iterations(tmp_path):
    runner = make_run(tmp_path)
    assert runner._rescaled_iter(100, {'world_size': 4}) == 400
    assert runner._rescaled_iter(100, {}) == 100


def test_runner_of_the_user_keeps_its_own_methods():
    class Mine(EpochBasedRunner):
        def save_checkpoint(self, *args, **kwargs):
            return 'mine'

        def train(self, data_loader, **kwargs):
            return 'trained'

    made = resumable(Mine)
    assert made.save_checkpoint is Mine.save_checkpoint and issubclass(made, Mine)
    assert made.load_checkpoint is not Mine.load_checkpoint and made.__name__ == 'Mine'
    assert resumable(made) is made
    assert resumable(RUNNERS.get('IterBasedRunner')).save_checkpoint is not EpochBasedRunner.save_checkpoint


def test_unknown_runner_is_named_with_a_near_one():
    with pytest.raises(KeyError, match="did you mean .*'EpochBasedRunner'"):
        build_runner(dict(type='EpochbasedRuner'))


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (
            lambda saved: dict(saved, optimizer=dict(state={}, param_groups=[])),
            'state of its optimizer is not of the one',
        ),
        (lambda saved: dict(saved, optimizer={}), "not of the one of the config .'param_groups'"),
        (lambda saved: dict(saved, optimizer=torch.optim.Adam(Toy().parameters()).state_dict()), 'lacks dampening'),
    ],
)
def test_state_of_another_optimizer_is_told_before_the_first_step(tmp_path, change, text):
    first = make_run(tmp_path)
    first.save_checkpoint(str(tmp_path), filename_tmpl='epoch_{}.pth')
    path = tmp_path / 'epoch_1.pth'
    torch.save(change(torch.load(path, weights_only=True)), path)
    with pytest.raises(CheckpointMismatchError, match=f'epoch_1.pth: .*{text}.*load_from'):
        make_run(tmp_path / 'other').resume(str(path))
