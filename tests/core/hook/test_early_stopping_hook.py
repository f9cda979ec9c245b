"""Training that ends when its evaluations do not become better: made-up figures, real runners and checkpoints."""

import logging
import math
import time

import pytest
import torch
from mmcv.runner import HOOKS
from torch import nn
from torch.utils.data import DataLoader, Dataset
from two_processes import run_two

from mmdet.core import DistEvalHook, EarlyStoppingHook, EvalHook
from mmdet.core.evaluation.eval_hooks import MissedEvaluationHook
from mmdet.utils.checkpoints.checkpoint import read_checkpoint
from mmdet.utils.running.runner import build_runner


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def train_step(self, data, optimizer):
        return dict(loss=(self.weight * data).sum(), log_vars={}, num_samples=1)

    def forward(self, **data):
        return []


class Scored(Dataset):
    """Gives the score of the number of evaluations done; two items."""

    def __init__(self, scores, done=0):
        self.scores, self.done = scores, done

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return torch.ones(1)

    def evaluate(self, results, logger=None):
        self.done += 1
        return dict(bbox_mAP=self.scores[self.done - 1], val_loss=-self.scores[self.done - 1])


def run(
    folder, scores, *, kind='EpochBasedRunner', length=8, resume=None, done=0, interval=1, hook=EvalHook, **settings
):
    """A run over two steps an epoch; gives the runner."""
    model = Line()
    by_iter = kind == 'IterBasedRunner'
    runner = build_runner(
        dict(type=kind, **({'max_iters': length} if by_iter else {'max_epochs': length})),
        dict(
            model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), work_dir=str(folder),
            logger=logging.getLogger('early stopping'), meta={},
        ),
    )  # fmt: skip
    runner.register_hook(HOOKS.build(dict(type='EarlyStoppingHook', **settings)))
    runner.register_hook_from_cfg(dict(type='ResumableCheckpointHook', interval=interval, by_epoch=not by_iter))
    runner.register_hook_from_cfg(dict(type='OptimizerHook'))
    evaluation = hook(
        DataLoader(Scored(scores, done)), by_epoch=not by_iter, save_best='bbox_mAP',
        test_fn=lambda model, loader, **kwargs: [],
    )  # fmt: skip
    runner.register_hook(evaluation, priority='LOW')
    runner.register_hook(MissedEvaluationHook(evaluation), priority='LOWEST')
    if resume:
        runner.resume(str(resume))
    runner.run([DataLoader(Scored(scores))], [('train', 1)])
    return runner


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)


@pytest.mark.parametrize(
    ('scores', 'settings', 'length'),
    [
        ([0.1, 0.3, 0.2, 0.3, 0.1, 0.9, 0.9, 0.9], dict(patience=3), 5),
        ([0.1, 0.3, 0.35, 0.39, 0.41, 0.9, 0.9, 0.9], dict(patience=2, min_delta=0.1), 4),
        ([0.1, 0.3, 0.35, 0.39, 0.41, 0.45, 0.9, 0.9], dict(patience=3, min_delta=0.1), 8),
        ([0.5, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0], dict(patience=2, monitor='val_loss'), 3),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], dict(patience=2, monitor='val_loss'), 8),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], dict(patience=3, rule='less'), 4),
        ([math.nan, 0.2, math.nan, math.nan, 0.5, 0.6, 0.7, 0.8], dict(patience=2), 4),
    ],
)
def test_run_ends_after_so_many_evaluations_without_improvement(tmp_path, scores, settings, length):
    runner = run(tmp_path, scores, **settings)
    assert (runner.epoch, runner.iter) == (length, 2 * length)
    assert read_checkpoint(tmp_path / 'latest.pth')['meta']['epoch'] == length


@pytest.mark.parametrize(('kind', 'last'), [('EpochBasedRunner', 'epoch_4'), ('IterBasedRunner', 'iter_4')])
def test_end_has_its_checkpoint_and_one_line_with_the_reason(tmp_path, caplog, kind, last):
    with caplog.at_level(logging.INFO):
        run(tmp_path, [0.1, 0.25, 0.2, 0.2, 0.9, 0.9, 0.9, 0.9], kind=kind, interval=3, patience=2)
    assert (tmp_path / f'{last}.pth').exists() and (tmp_path / 'latest.pth').resolve().name == f'{last}.pth'
    where = last.replace('_', ' ').replace('iter', 'iteration')
    said = [text for text in caplog.messages if text.startswith('early stopping')]
    best = where.replace('4', '2')
    assert said == [
        f'early stopping at the end of {where}: bbox_mAP was best at {best} (0.2500); 2 evaluations since then were '
        'not better by more than 0.0 (patience 2)'
    ]


@pytest.mark.parametrize('kind', ['EpochBasedRunner', 'IterBasedRunner'])
def test_resumed_run_counts_on_and_a_stopped_one_stays_stopped(tmp_path, kind):
    name = 'epoch' if kind == 'EpochBasedRunner' else 'iter'
    scores = [0.3, 0.2, 0.2, 0.2, 0.9, 0.9, 0.9, 0.9]
    run(tmp_path, scores, kind=kind, length=3, patience=3)
    resumed = run(tmp_path, scores, kind=kind, resume=tmp_path / f'{name}_3.pth', done=3, patience=3)
    assert getattr(resumed, name) == 4
    again = run(tmp_path, scores, kind=kind, resume=tmp_path / f'{name}_4.pth', done=4, patience=3)
    assert getattr(again, name) == 4
    patient = run(tmp_path, scores, kind=kind, resume=tmp_path / f'{name}_4.pth', done=4, patience=5)
    assert getattr(patient, name) == 8


def test_figure_that_is_not_there_and_settings_out_of_range_are_named(tmp_path):
    with pytest.raises(KeyError, match="no 'bbox_map'; did you mean 'bbox_mAP'"):
        run(tmp_path, [0.1] * 8, monitor='bbox_map')
    for settings, text in ((dict(patience=0), 'patience'), (dict(min_delta=-1), 'min_delta'), (dict(rule='>'), 'rule')):
        with pytest.raises(ValueError, match=f'^{text}: expected'):
            EarlyStoppingHook(**settings)


def run_distributed(rank, folder):
    scores = [0.3, 0.2, 0.2, 0.9, 0.9, 0.9, 0.9, 0.9] if rank == 0 else [0.0] * 8  # of rank 0 alone they are looked at
    runner = run(folder, scores, patience=2, interval=2, hook=DistEvalHook)
    (folder / f'ended_{rank}').write_text(str(runner.epoch))


def test_all_processes_end_by_the_figures_of_the_first(tmp_path):
    assert run_two(run_distributed, tmp_path, tmp_path) == [(0, ''), (0, '')]
    assert [(tmp_path / f'ended_{rank}').read_text() for rank in range(2)] == ['3', '3']
    assert read_checkpoint(tmp_path / 'epoch_3.pth')['meta']['epoch'] == 3
