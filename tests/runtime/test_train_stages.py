"""``tools/train_stages.py`` as a process: four alternating stages, a kill in the third, frozen parts bit by bit."""

import json
import logging

import pytest
import torch
from mmcv import Config
from process import python
from tiny import ROOT, draw_data, write_config

from mmdet.apis.stage_plan import StagePlanError
from mmdet.apis.stages import StagedTraining

STAGES = """
runner = dict(type='IterBasedRunner', max_iters=3)
lr_config = dict(policy='step', warmup=None, step=[2])
checkpoint_config = dict(by_epoch=False, interval=2)
evaluation = dict(metric='bbox')
custom_imports = dict(imports=['stage_killer'], allow_failed_imports=True)
custom_hooks = [dict(type='NumClassCheckHook')]
stages = [
    dict(name='rpn', detector='RPN'),
    dict(name='detector', detector='FastRCNN', proposals='rpn', options={'optimizer.lr': 0.01}),
    dict(name='rpn_shared', detector='RPN', weights=dict(detector=['backbone', 'neck']), frozen=['backbone', 'neck'],
         options={'optimizer.weight_decay': 0.1}),
    dict(name='detector_shared', detector='FastRCNN', proposals='rpn_shared', weights=dict(detector=''),
         frozen=['backbone', 'neck', 'roi_head.bbox_head.fc_cls']),
]
"""
KILLER = """
import os
from mmcv.runner import OptimizerHook

step = OptimizerHook.after_train_iter
def dies(self, runner):
    if os.environ.get('KILL_IN') in runner.work_dir and runner.iter == 2:
        os._exit(9)
    step(self, runner)
if os.environ.get('KILL_IN'):
    OptimizerHook.after_train_iter = dies
"""


def weights(folder):
    return torch.load(folder / 'latest.pth', weights_only=True)['state_dict']


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Folder with ``whole`` and ``resumed``, two runs of the same stages, the second killed and started again."""
    folder = tmp_path_factory.mktemp('stages')
    draw_data(folder)
    (folder / 'stage_killer.py').write_text(KILLER)
    config = write_config(folder, STAGES)
    command = ('tools/train_stages.py', config, '--work-dir')
    path = f'{ROOT}:{folder}'
    python(*command, folder / 'whole', PYTHONPATH=path)
    killed = python(*command, folder / 'resumed', check=False, PYTHONPATH=path, KILL_IN='rpn_shared')
    assert killed.returncode == 9
    done = json.loads((folder / 'resumed/stages.json').read_text())['rows']
    assert [row['stage'] for row in done] == ['rpn', 'detector']
    python(*command, folder / 'resumed', PYTHONPATH=path)
    return folder


def test_frozen_parts_stay_bit_equal_and_the_others_learn(runs):
    detector, shared = weights(runs / 'whole/detector'), weights(runs / 'whole/rpn_shared')
    common = [name for name in shared if name.startswith(('backbone.', 'neck.'))]
    assert len(common) > 100 and all(torch.equal(shared[name], detector[name]) for name in common)
    last = weights(runs / 'whole/detector_shared')
    kept = [name for name in last if name.startswith(('backbone.', 'neck.', 'roi_head.bbox_head.fc_cls.'))]
    assert all(torch.equal(last[name], detector[name]) for name in kept)
    learnt = [name for name in last if name not in kept]
    assert learnt and not any(torch.equal(last[name], detector[name]) for name in learnt if name.endswith('weight'))


def test_detector_of_the_second_stage_starts_anew(runs):
    first, second = weights(runs / 'whole/rpn'), weights(runs / 'whole/detector')
    assert not torch.equal(first['backbone.conv1.weight'], second['backbone.conv1.weight'])


def test_killed_run_goes_on_in_its_stage_and_ends_equal(runs):
    for name in ('rpn', 'detector', 'rpn_shared', 'detector_shared'):
        whole, resumed = weights(runs / 'whole' / name), weights(runs / 'resumed' / name)
        assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    figures = [
        [row['figures'] for row in json.loads((runs / name / 'stages.json').read_text())['rows']]
        for name in ('whole', 'resumed')
    ]
    assert figures[0] == figures[1] and len(figures[0]) == 5


def test_final_detector_is_put_together_from_the_newest_parts(runs):
    final = torch.load(runs / 'whole/final.pth', weights_only=True)
    rpn, detector = weights(runs / 'whole/rpn_shared'), weights(runs / 'whole/detector_shared')
    assert set(final['state_dict']) == set(rpn) | set(detector) and list(final['meta']['CLASSES']) == ['red', 'green']
    assert all(torch.equal(final['state_dict'][name], value) for name, value in {**rpn, **detector}.items())
    table = (runs / 'whole/stages.md').read_text().splitlines()
    assert table[0].startswith('| stage | AR@100 |') and table[-1].startswith('| final | ')
    (log,) = (runs / 'whole').glob('*.log')
    config, checkpoint = runs / 'whole/tiny.py', runs / 'whole/final.pth'
    commands = [line for line in log.read_text().splitlines() if 'tools/test.py' in line]  # not one for each stage
    assert len(commands) == 1 and f'next: python tools/test.py {config} {checkpoint} --eval bbox ' in commands[0]
    tested = python('tools/test.py', config, checkpoint, '--eval', 'bbox')
    assert 'bbox_mAP' in tested.stdout


def test_run_that_was_interrupted_in_its_first_stage_does_not_go_on_with_another_seed(runs, monkeypatch):
    def start(seed):
        cfg = Config.fromfile(str(runs / 'tiny.py'), import_custom_modules=False)
        cfg.update(work_dir=str(runs / 'seeds'), seed=seed, device='cpu', gpu_ids=[0])
        StagedTraining(cfg, False, logging.getLogger('mmdet'), 'now').run()

    def interrupted(self, stage):
        raise RuntimeError('interrupted')

    monkeypatch.setattr(StagedTraining, '_train', interrupted)
    with pytest.raises(RuntimeError, match='interrupted'):
        start(0)
    with pytest.raises(StagePlanError, match='seed was 0 and is 5'):
        start(5)
    with pytest.raises(RuntimeError, match='interrupted'):  # nothing but the seed was wrong
        start(0)


def test_unknown_part_stops_before_anything_trains(runs):
    config = runs / 'wrong.py'
    config.write_text("_base_ = './tiny.py'\nstages = [dict(name='a', frozen='backbon')]\n")
    done = python('tools/train_stages.py', config, '--work-dir', runs / 'wrong', check=False)
    assert done.returncode == 1 and "no part 'backbon'; did you mean 'backbone'" in done.stderr
    assert 'Traceback' not in done.stderr and not (runs / 'wrong/a').exists()
