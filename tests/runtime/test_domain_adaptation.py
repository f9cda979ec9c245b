"""A whole training with a target without annotations: log, pictures, resuming, and a test of the result."""

import json
import logging
import time

import cv2
import pytest
import torch
from mmcv import Config
from mmcv.utils import logging as mmcv_logging
from tiny import write_config

from mmdet.apis import set_random_seed, train_detector
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from mmdet.utils.checkpoints.checkpoint import read_checkpoint

ADAPTED = """
model['train_cfg']['domain'] = dict(
    image=dict(in_channels=16, hidden_channels=8),
    instance=dict(in_channels=16, hidden_channels=8),
    consistency_weight=0.1,
    reversal=dict(policy='linear', value=2.0))
labelled = dict(filter_empty_gt=True, **source)
unlabelled = dict(filter_empty_gt=False, **{**source, 'ann_file': source['ann_file'].replace('ann', 'images')})
data['train'] = dict(type='ConcatDataset', datasets=[
    dict(pipeline=train_pipeline + [dict(type='AddFieldToImgMetas', fields=['domain'], values=[0])], **labelled),
    dict(pipeline=train_pipeline + [dict(type='MarkUnlabelled', domain=1)], **unlabelled)])
custom_hooks = [
    dict(type='FeatureMapHook', modules=['backbone.layer2', 'neck'], interval=5),
    dict(type='EmbeddingProjectionHook', interval=5, num_batches=2, score_thr=0.0),
    dict(type='ScheduleValueHook', name='roi_head.bbox_head.loss_bbox.loss_weight', log_as='box_weight',
         schedule=dict(policy='points', points=[(0, 1.0), (1, 3.0)]))]
"""


@pytest.fixture(autouse=True)
def quick_and_clean(monkeypatch):
    """No pauses of mmcv's, and a logger that the next test does not inherit."""
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)
    yield
    logging.getLogger('mmdet').handlers.clear()
    mmcv_logging.logger_initialized.pop('mmdet', None)


def train(folder, work, **changes):
    content = json.loads((folder / 'ann.json').read_text())
    del content['annotations']
    (folder / 'images.json').write_text(json.dumps(content))
    cfg = Config.fromfile(str(write_config(folder, ADAPTED)))
    runner = dict(type='IterBasedRunner', max_iters=5)
    settings = {'work_dir': str(work), 'seed': 1, 'device': 'cpu', 'gpu_ids': [0], 'checkpoint_config.interval': 3}
    cfg.merge_from_dict({**settings, **changes})
    cfg.runner = runner
    set_random_seed(1)
    model = build_detector(cfg.model)
    train_detector(model, [build_dataset(cfg.data.train)], cfg, timestamp='log', meta=dict(seed=1))
    entries = [json.loads(line) for line in (work / 'log.log.json').read_text().splitlines()[1:]]
    return cfg, model, entries


def test_adaptation_trains_logs_draws_resumes_and_tests(tiny_data, tmp_path):
    cfg, model, log = train(tiny_data, tmp_path / 'whole')
    assert [round(e['domain_reversal'], 3) for e in log] == [0.0, 0.4, 0.8, 1.2, 1.6]
    assert [round(e['box_weight'], 3) for e in log] == [1.0, 1.4, 1.8, 2.2, 2.6]
    for name in ('image', 'instance'):
        assert all(0 <= e[f'acc_domain_{name}'] <= 100 and e[f'loss_domain_{name}'] > 0 for e in log)
    assert all(e['loss_domain_consistency'] >= 0 for e in log)

    pictures = sorted(path.name for path in (tmp_path / 'whole/feature_maps').iterdir())
    assert pictures == ['iter_000005_backbone.layer2_0.png', 'iter_000005_neck_0.png']
    assert cv2.imread(str(tmp_path / 'whole/embeddings/iter_000005.png')) is not None
    rows = list((tmp_path / 'whole/tf_logs').rglob('metadata.tsv'))[0].read_text().splitlines()
    assert rows[0] == 'class\tdomain' and {row.split('\t')[0] for row in rows[1:]} <= {'red', 'green'}

    _, resumed, rest = train(tiny_data, tmp_path / 'rest', resume_from=str(tmp_path / 'whole/iter_3.pth'))
    assert [round(e['domain_reversal'], 3) for e in rest] == [1.2, 1.6]
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), resumed.state_dict().values()))

    cfg.model.train_cfg = None
    tested = build_detector(cfg.model)
    trained = read_checkpoint(str(tmp_path / 'whole/iter_5.pth'))['state_dict']
    assert any(name.startswith('domain_adaptation.') for name in trained)
    assert set(tested.state_dict()) == {name for name in trained if not name.startswith('domain_adaptation.')}
