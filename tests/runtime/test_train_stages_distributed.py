"""``tools/train_stages.py`` in two processes: equal weights, frozen parts bit by bit, one log and one table."""

import json

import pytest
import torch
from process import python_pair
from tiny import draw_data, write_config

STAGES = """
dist_params = dict(backend='gloo')
runner = dict(type='IterBasedRunner', max_iters=3)
lr_config = dict(policy='step', warmup=None, step=[2])
checkpoint_config = dict(by_epoch=False, interval=3)
evaluation = dict(metric='bbox')
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
custom_imports = dict(imports=['rank_weights'], allow_failed_imports=False)
custom_hooks = [dict(type='RankWeights')]
data['samples_per_gpu'] = 1
stages = [
    dict(name='rpn', detector='RPN'),
    dict(name='detector', detector='FastRCNN', proposals='rpn', weights=dict(rpn=['backbone', 'neck']),
         frozen=['backbone', 'neck']),
    dict(name='whole', weights=dict(rpn='', detector='roi_head'), frozen=['backbone', 'rpn_head.rpn_cls']),
]
"""
# every process writes what it has learnt; the first one is slow to write what all of them read next
RANK_WEIGHTS = """
import os
import time
import torch
from mmcv.runner import HOOKS, Hook, get_dist_info

@HOOKS.register_module(force=True)
class RankWeights(Hook):
    def after_run(self, runner):
        rank = get_dist_info()[0]
        model = runner.model.module
        torch.save(model.state_dict(), os.path.join(runner.work_dir, f'rank{rank}.pth'))

import mmdet.utils.running.runner as runners
save = runners.save_checkpoint

def slow_save(*args, **kwargs):
    time.sleep(2)
    save(*args, **kwargs)

runners.save_checkpoint = slow_save
"""
NAMES = ('rpn', 'detector', 'whole')


def weights(path):
    content = torch.load(path, weights_only=True)
    return content.get('state_dict', content)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """The folder with ``work``."""
    folder = tmp_path_factory.mktemp('distributed_stages')
    draw_data(folder)
    (folder / 'rank_weights.py').write_text(RANK_WEIGHTS)
    config = write_config(folder, STAGES)
    python_pair(
        *('tools/train_stages.py', config, '--work-dir', folder / 'work', '--launcher', 'pytorch'),
        search_path=[str(folder)],
    )
    return folder / 'work'


def test_processes_end_every_stage_with_equal_weights(run):
    for name in NAMES:
        first, second, saved = (weights(run / name / file) for file in ('rank0.pth', 'rank1.pth', 'latest.pth'))
        learnt = [key for key in first if not key.endswith(('running_mean', 'running_var', 'num_batches_tracked'))]
        assert learnt and all(torch.equal(first[key], second[key]) for key in learnt), name
        assert all(torch.equal(first[key], saved[key]) for key in saved)


def test_frozen_parts_are_bit_equal_in_every_process(run):
    for rank in (0, 1):
        rpn, detector, whole = (weights(run / name / f'rank{rank}.pth') for name in NAMES)
        saved = [weights(run / name / 'latest.pth') for name in NAMES]
        trunk = [key for key in detector if key.startswith(('backbone.', 'neck.'))]
        assert len(trunk) > 100 and all(torch.equal(detector[key], saved[0][key]) for key in trunk)
        kept = [key for key in whole if key.startswith(('backbone.', 'rpn_head.rpn_cls.'))]
        assert len(kept) > 100 and all(torch.equal(whole[key], saved[0][key]) for key in kept)
        for key in ('rpn_head.rpn_reg.weight', 'neck.fpn_convs.0.conv.weight'):
            assert not torch.equal(whole[key], saved[0][key])
        assert not torch.equal(whole['roi_head.bbox_head.fc_cls.weight'], saved[1]['roi_head.bbox_head.fc_cls.weight'])


def test_there_is_one_log_and_one_table(run):
    (log,) = run.glob('*.log')
    text = log.read_text()
    assert [text.count(f'stage {name}: trains') for name in NAMES] == [1, 1, 1]
    assert text.count('all stages are done') == 1
    (table,) = run.rglob('stages.md')
    assert [line.split(' | ')[0] for line in table.read_text().splitlines()[2:]] == [
        '| rpn', '| detector', '| whole', '| final',
    ]  # fmt: skip
    rows = json.loads((run / 'stages.json').read_text())['rows']
    assert [row['stage'] for row in rows] == [*NAMES, 'final'] and 'bbox_mAP' in rows[-1]['figures']
    assert [len(list((run / name).glob('*.log.json'))) for name in NAMES] == [1, 1, 1]
    assert len(list((run / 'rpn').glob('proposals_*.pkl'))) == 2
