"""Evaluation hooks of a program without a process group, with mmcv's test loop and batches of plain tensors."""

import logging

import pytest
import torch
from mmcv.runner import EpochBasedRunner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmdet.core import DistEvalHook, EvalHook


class Three(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return dict(img=torch.tensor([float(i)]))

    def evaluate(self, results, logger=None):
        return dict(mAP=float(sum(results)))


class Doubles(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.BatchNorm1d(1)

    def forward(self, img, return_loss=False, rescale=False):
        return 2 * img.flatten()

    def train_step(self, data, optimizer, **kwargs):
        return dict(loss=torch.zeros(()), log_vars={}, num_samples=1)


@pytest.mark.parametrize('kind', [EvalHook, DistEvalHook])
def test_hook_evaluates_all_images(kind, tmp_path):
    model, loader = Doubles(), DataLoader(Three())
    runner = EpochBasedRunner(
        model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        work_dir=str(tmp_path),
        logger=logging.getLogger('eval hook'),
        max_epochs=1,
    )
    hook = kind(loader, interval=1, save_best='mAP', rule='greater')
    runner.register_hook(hook)
    runner.run([loader], [('train', 1)])
    assert [float(result) for result in hook.latest_results] == [0, 2, 4]
    assert (tmp_path / 'best_mAP_epoch_1.pth').exists()
