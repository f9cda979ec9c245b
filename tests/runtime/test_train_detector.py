"""``train_detector`` in this process, with the settings that the command line's run does not have."""

import json
import logging
import time

import pytest
import torch
from mmcv import Config
from mmcv.utils import logging as mmcv_logging
from tiny import write_config

from mmdet.apis import set_random_seed, train_detector
from mmdet.apis.loaders import batch_test_pipeline, train_pipeline
from mmdet.apis.train import auto_scale_lr, init_random_seed
from mmdet.datasets import build_dataset
from mmdet.datasets.audit.audit import AuditError
from mmdet.models import build_detector


@pytest.fixture(autouse=True)
def quick_and_clean(monkeypatch):
    """No pauses of mmcv's, and a logger that the next test does not inherit."""
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    yield
    logging.getLogger('mmdet').handlers.clear()
    mmcv_logging.logger_initialized.pop('mmdet', None)


def train(folder, work, **changes):
    """Train the tiny detector; gives the model and the JSON log's entries."""
    cfg = Config.fromfile(str(write_config(folder)))
    validate = changes.pop('validate', False)
    if 'runner' in changes:
        cfg.runner = changes.pop('runner')
    cfg.merge_from_dict({'work_dir': str(work), 'seed': 1, 'device': 'cpu', 'gpu_ids': [0], **changes})
    set_random_seed(1)
    model = build_detector(cfg.model)
    datasets = [build_dataset(cfg.data.train) for _ in cfg.get('workflow', [1])]
    train_detector(model, datasets, cfg, validate=validate, timestamp='log', meta=dict(seed=1))
    lines = (work / 'log.log.json').read_text().splitlines()
    return model, [json.loads(line) for line in lines][1:]


def test_workflow_with_validation_logs_losses_of_both(tiny_data, tmp_path):
    _, entries = train(
        tiny_data, tmp_path, workflow=[('train', 1), ('val', 1)], **{'runner.max_epochs': 1, 'log_config.interval': 4}
    )
    assert [entry['mode'] for entry in entries] == ['train', 'val']
    assert {'loss_cls', 'loss'} <= set(entries[0]) and {'loss_cls_val', 'loss_val'} <= set(entries[1])
    assert (tmp_path / 'epoch_1.pth').exists()


def test_bfloat16_trains_close_to_float32_and_keeps_float32_weights(tiny_data, tmp_path):
    settings = {'runner.max_epochs': 1, 'optimizer.lr': 0.001}
    _, full = train(tiny_data, tmp_path / 'a', **settings)
    model, mixed = train(tiny_data, tmp_path / 'b', fp16=dict(dtype='bfloat16'), **settings)
    assert model.autocast_dtype is torch.bfloat16
    assert all(p.dtype == torch.float32 for p in model.parameters())
    first, second = ([entry['loss'] for entry in log] for log in (full, mixed))
    assert first != second and second == pytest.approx(first, rel=0.1)


def test_samples_in_static_shapes_learn_as_the_usual_ones_do(tiny_data, tmp_path):
    settings = {'runner.max_epochs': 1, 'optimizer.lr': 0.001, 'log_config.interval': 2}
    _, usual = train(tiny_data, tmp_path / 'a', **settings)
    model, fixed = train(tiny_data, tmp_path / 'b', **settings, **{'model.fixed_size': True})
    assert model.rpn_head.static_shapes and model.log_on_device
    assert fixed[0].keys() == usual[0].keys()
    for name in ('loss_rpn_cls', 'loss_cls', 'loss'):  # other anchors are drawn
        assert fixed[0][name] == pytest.approx(usual[0][name], rel=0.05)


def test_iterations_with_accumulated_gradients_evaluate_save_and_resume(tiny_data, tmp_path):
    settings = {
        'runner': dict(type='IterBasedRunner', max_iters=6),
        'optimizer_config': dict(type='GradientCumulativeOptimizerHook', cumulative_iters=2),
        'checkpoint_config.interval': 4,
        'evaluation.interval': 4,
        'validate': True,
        'lr_config': dict(policy='step', step=[5]),
    }
    whole, log = train(tiny_data, tmp_path / 'whole', **settings)
    assert [e['iter'] for e in log if e['mode'] == 'train'] == [1, 2, 3, 4, 5, 6]
    assert [e['iter'] for e in log if e['mode'] == 'val'] == [8] and list(
        (tmp_path / 'whole').glob('best_*_iter_4.pth')
    )
    rest, log = train(tiny_data, tmp_path / 'rest', resume_from=str(tmp_path / 'whole/iter_4.pth'), **settings)
    assert [e['iter'] for e in log if e['mode'] == 'train'] == [5, 6]
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), rest.state_dict().values()))


def test_wrong_number_of_classes_stops_before_the_first_step(tiny_data, tmp_path):
    with pytest.raises(AuditError, match='num_classes|classes'):
        train(tiny_data, tmp_path, **{'model.roi_head.bbox_head.num_classes': 3})
    assert not list(tmp_path.glob('*.pth'))


def test_audit_can_be_switched_off_and_its_keys_are_checked(tiny_data, tmp_path):
    with pytest.raises(ValueError, match="audit: unknown key 'stric'"):
        train(tiny_data, tmp_path, audit=dict(stric=True))
    changes = {'model.roi_head.bbox_head.num_classes': 3, 'custom_hooks': [], 'runner.max_epochs': 1}
    train(tiny_data, tmp_path, audit=dict(enable=False), **changes)
    assert (tmp_path / 'latest.pth').exists()


@pytest.mark.parametrize(('enable', 'rate'), [(True, 0.02 * 6 / 16), (False, 0.02)])
def test_learning_rate_follows_the_batch_size_only_when_asked(enable, rate):
    cfg = Config(
        dict(
            optimizer=dict(lr=0.02),
            data=dict(samples_per_gpu=3),
            gpu_ids=[0, 1],
            auto_scale_lr=dict(enable=enable, base_batch_size=16),
        )
    )
    auto_scale_lr(cfg, False, logging.getLogger())
    assert cfg.optimizer.lr == pytest.approx(rate)


def test_seeds_make_draws_repeatable():
    assert init_random_seed(5) == 5 and 0 <= init_random_seed(None, 'cpu') < 2**31
    set_random_seed(4)
    first = torch.rand(2)
    set_random_seed(4)
    assert torch.equal(first, torch.rand(2))


def test_pipeline_of_training_data_is_found_inside_wrappers():
    inner = dict(type='CocoDataset', pipeline=['step'])
    wrapped = dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[inner]))
    assert train_pipeline(wrapped) == train_pipeline([inner]) == ['step']
    with pytest.raises(KeyError, match='no pipeline'):
        train_pipeline(dict(type='CocoDataset'))


def test_pipelines_inside_wrappers_learn_to_make_batches():
    inner = dict(type='CocoDataset', pipeline=[dict(type='ImageToTensor', keys=['img'])])
    joined = dict(type='ConcatDataset', datasets=[inner, dict(inner)])
    assert batch_test_pipeline(joined, 1) == joined
    changed = batch_test_pipeline(joined, 2)
    assert [part['pipeline'] for part in changed['datasets']] == [[dict(type='DefaultFormatBundle')]] * 2


def test_all_kinds_of_directives_reach_the_heads_of_a_run_that_is_resumed(tiny_data, tmp_path):
    pipeline = Config.fromfile(str(write_config(tiny_data))).train_pipeline
    fields = {
        'labeled_classes': ['red'],
        'negatives': dict(type='recalibrate', warmup=3),
        'roi_head.negative_weight': 0.5,
    }
    step = dict(
        type='AddFieldToImgMetas', fields=list(fields), values=list(fields.values()),
        from_img_info=['rpn_head.loss_weight'], default=0.5,
    )  # fmt: skip
    settings = {
        'runner': dict(type='IterBasedRunner', max_iters=4),
        'checkpoint_config.interval': 2,
        'data.train.pipeline': [*pipeline, step],
        'lr_config': dict(policy='step', step=[5]),
    }
    whole, log = train(tiny_data, tmp_path / 'whole', **settings)
    assert [head.directives.iteration for head in (whole.rpn_head, whole.roi_head.bbox_head)] == [3, 3]
    rest, _ = train(tiny_data, tmp_path / 'rest', resume_from=str(tmp_path / 'whole/iter_2.pth'), **settings)
    assert rest.roi_head.bbox_head.directives.iteration == 3
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), rest.state_dict().values()))


def test_directive_that_no_head_reads_stops_before_the_first_step(tiny_data, tmp_path):
    pipeline = Config.fromfile(str(write_config(tiny_data))).train_pipeline
    step = dict(type='AddFieldToImgMetas', fields=['mask_head.loss_weight'], values=[0.5])
    with pytest.raises(AuditError, match="nothing in the model reads 'mask_head.loss_weight'"):
        train(tiny_data, tmp_path, **{'data.train.pipeline': [*pipeline, step]})
