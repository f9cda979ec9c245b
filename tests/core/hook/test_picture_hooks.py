"""Hooks that write pictures, on a few steps of a small detector."""

import logging
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmcv.runner.hooks import TensorboardLoggerHook
from torch import nn

from mmdet.core.hook import EmbeddingProjectionHook, FeatureMapHook
from mmdet.core.hook.diagnostics.feature_map_hook import maps_in


class Net(nn.Module):
    """Two maps, and, as a detector would, boxes of a class in each image."""

    CLASSES = ('red', 'green')
    with_roi_head = True

    def __init__(self):
        super().__init__()
        self.stem, self.drop = nn.Conv2d(3, 4, 4, 4), nn.Dropout(0.5)
        self.calls = 0

    def forward(self, img, img_metas):
        return self.drop(self.extract_feat(img)[0])

    def extract_feat(self, img):
        return [self.stem(img)]

    def simple_test(self, img, img_metas, rescale=False):
        assert not self.training and not torch.is_grad_enabled()
        self.calls += 1
        torch.rand(1)  # must not change what the training draws
        sure, unsure = [0.0, 0, 8, 8, 0.9], [0.0, 0, 8, 8, 0.1]
        return [[np.array([sure, unsure]), np.array([sure] * (i + 1))] for i in range(len(img))]

    def roi_features(self, feats, rois):
        return feats[0][rois[:, 0].long()]


def run_of(model, folder, writer=None):
    hooks = []
    if writer is not None:
        hook = TensorboardLoggerHook()
        hook.writer = writer
        hooks = [hook]
    return SimpleNamespace(
        model=model, hooks=hooks, iter=0, rank=0, work_dir=str(folder), logger=logging.getLogger('quiet')
    )


def train(hook, runner, steps):
    torch.manual_seed(0)
    hook.before_run(runner)
    outputs = []
    for runner.iter in range(steps):
        hook.before_train_iter(runner)
        img = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(runner.iter))
        outputs.append(runner.model(img=img, img_metas=[dict(domain=0), dict(domain=1)]))
        hook.after_train_iter(runner)
    if hasattr(hook, 'after_run'):
        hook.after_run(runner)
    return outputs


def writer_stub():
    calls = []
    return SimpleNamespace(
        calls=calls,
        add_image=lambda tag, picture, step, dataformats: calls.append((tag, picture.shape, step)),
        add_embedding=lambda *args, **kwargs: calls.append((args, kwargs)),
    )


def test_maps_of_chosen_modules_are_written_at_the_interval(tmp_path):
    writer = writer_stub()
    runner = run_of(Net(), tmp_path, writer)
    train(FeatureMapHook(['stem'], interval=2, num_images=2), runner, 4)
    names = sorted(path.name for path in (tmp_path / 'feature_maps').iterdir())
    assert names == [f'iter_{step:06d}_stem_{i}.png' for step in (2, 4) for i in (0, 1)]
    picture = cv2.imread(str(tmp_path / 'feature_maps' / names[0]))
    assert picture.shape == (16 + 16, 24 + 4 + 24, 3)  # caption and image; image, gap, map
    assert [call[0] for call in writer.calls] == ['feature_maps/stem/0', 'feature_maps/stem/1'] * 2
    assert not runner.model.stem._forward_hooks and not runner.model._forward_pre_hooks


def test_feature_maps_are_found_in_any_nesting():
    a, b = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 1, 1)
    assert [m is x for m, x in zip(maps_in(dict(x=[a, torch.zeros(3)], y=(b, None))), (a, b))] == [True, True]


def test_unknown_module_and_reduction_are_named(tmp_path):
    with pytest.raises(KeyError, match='stem'):
        FeatureMapHook(['stam']).before_run(run_of(Net(), tmp_path))
    with pytest.raises(ValueError, match='mean, max, norm'):
        FeatureMapHook(reduction='sum')


def test_embedding_is_of_what_is_found_by_class_and_domain(tmp_path):
    writer = writer_stub()
    runner = run_of(Net(), tmp_path, writer)
    train(EmbeddingProjectionHook(interval=4, num_batches=2), runner, 5)
    assert runner.model.calls == 2  # the batches of steps 3 and 4
    assert [path.name for path in (tmp_path / 'embeddings').iterdir()] == ['iter_000004.png']
    assert cv2.imread(str(tmp_path / 'embeddings/iter_000004.png')).shape[2] == 3
    ((args, kwargs),) = writer.calls
    rows = [['red', '0'], ['green', '0'], ['red', '1'], ['green', '1'], ['green', '1']]
    assert args[0].shape == (10, 4) and args[1] == rows * 2
    assert kwargs['metadata_header'] == ['class', 'domain'] and kwargs['global_step'] == 4


def test_embedding_changes_neither_modes_nor_random_numbers(tmp_path):
    torch.manual_seed(1)
    first = Net()
    first.stem.eval()
    second = Net()
    second.load_state_dict(first.state_dict())
    watched = train(EmbeddingProjectionHook(interval=1, num_batches=1), run_of(first, tmp_path), 3)
    plain = train(EmbeddingProjectionHook(interval=9, num_batches=1), run_of(second, tmp_path), 3)
    assert all(a.equal(b) for a, b in zip(watched, plain))
    assert first.training and first.drop.training and not first.stem.training


def test_nothing_found_writes_nothing_and_rois_are_thinned_evenly(tmp_path):
    runner = run_of(Net(), tmp_path)
    train(EmbeddingProjectionHook(interval=1, num_batches=1, score_thr=0.95), runner, 1)
    assert not (tmp_path / 'embeddings').exists()
    writer = writer_stub()
    train(EmbeddingProjectionHook(interval=1, num_batches=1, max_rois=3), run_of(Net(), tmp_path, writer), 1)
    assert writer.calls[0][0][1] == [['red', '0'], ['red', '1'], ['green', '1']]


def test_detector_without_rois_is_refused(tmp_path):
    with pytest.raises(TypeError, match='two-stage'):
        EmbeddingProjectionHook().before_run(run_of(nn.Linear(1, 1), tmp_path))
