import logging
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmdet.core.evaluation.eval_hooks import EvalHook, _calc_dynamic_intervals


class Scored(Dataset):
    """Gives the scores it was made with, one an evaluation."""

    def __init__(self, scores):
        self.scores = iter(scores)

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return i

    def evaluate(self, results, logger=None, **kwargs):
        return {'bbox_mAP': next(self.scores)}


def evaluate(tmp_path, scores, epochs, **kwargs):
    """Epochs of a hook; gives the epochs evaluated and the names of the best checkpoints saved."""
    evaluated, saved = [], []

    def test(model, loader):
        evaluated.append(runner.epoch + 1)
        torch.rand(5)
        return []

    runner = SimpleNamespace(
        epoch=0,
        iter=0,
        rank=0,
        world_size=1,
        model=None,
        work_dir=str(tmp_path),
        meta={},
        logger=logging.getLogger(),
        hooks=[],
        log_buffer=SimpleNamespace(output={}, ready=False),
        save_checkpoint=lambda folder, filename_tmpl, create_symlink: saved.append(filename_tmpl),
    )
    hook = EvalHook(DataLoader(Scored(scores)), test_fn=test, **kwargs)
    hook.before_run(runner)
    for runner.epoch in range(epochs):
        hook.before_train_epoch(runner)
        hook.after_train_epoch(runner)
    return evaluated, saved


def test_best_checkpoint_is_saved_when_the_score_grows_from_zero_on(tmp_path):
    _, saved = evaluate(tmp_path, [0.0, 0.3, 0.2, 0.4], 4, save_best='bbox_mAP')
    assert saved == [f'best_bbox_mAP_epoch_{i}.pth' for i in (1, 2, 4)]


def test_interval_changes_at_milestones(tmp_path):
    evaluated, _ = evaluate(tmp_path, [0.1] * 9, 9, interval=4, dynamic_intervals=[(5, 2), (7, 1)])
    assert evaluated == [4, 6, 7, 8, 9]


def test_milestones_and_intervals_of_a_list():
    assert _calc_dynamic_intervals(1, [(10, 2), (20, 3)]) == ([0, 10, 20], [1, 2, 3])
    with pytest.raises(TypeError, match='dynamic_intervals'):
        _calc_dynamic_intervals(1, (10, 2))


def test_evaluation_leaves_the_random_states_alone(tmp_path):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    evaluate(tmp_path, [0.1], 1)
    assert torch.equal(state, torch.get_rng_state())
