"""A training that logs to Weights & Biases, with a stand-in for the package alone."""

import json

import pytest
from tool_process import run_tool

# records what is called; a table gives back the rows that were put into it
STAND_IN = """
import json
import os
import types

calls = []
run = types.SimpleNamespace(id='x1')
config = types.SimpleNamespace(update=lambda content: calls.append(['config', sorted(content)]))


class Table:
    def __init__(self, columns):
        self.columns, self.data = columns, []

    def add_data(self, *row):
        self.data.append(row)


class Image:
    def __init__(self, image, boxes=None, masks=None, classes=None):
        self.boxes, self.masks = boxes, masks


class Artifact:
    def __init__(self, name, type, metadata=None):
        self.name, self.metadata, self.parts = name, metadata, {}

    def add(self, part, name):
        self.parts[name] = part

    def add_file(self, path):
        assert os.path.isfile(path), path
        self.parts['file'] = path

    def wait(self):
        calls.append(['wait', self.name])

    def get(self, name):
        return self.parts[name]


def told(kind):
    def tell(artifact, aliases=()):
        rows = [len(part.data) for part in artifact.parts.values() if isinstance(part, Table)]
        boxes = [[sorted(row[-1].boxes), len(next(iter(row[-1].boxes.values()))['box_data'])]
                 for part in artifact.parts.values() if isinstance(part, Table) for row in part.data]
        calls.append([kind, artifact.name, list(aliases), artifact.metadata, rows, boxes])
    return tell


log_artifact = told('log_artifact')
run.log_artifact, run.use_artifact = told('run.log_artifact'), told('use_artifact')
Classes = list


def init(**kwargs):
    calls.append(['init', kwargs])


def log(tags, step, commit):
    calls.append(['log', step, sorted(tags)])


def finish():
    with open('CALLS', 'w') as file:
        json.dump(calls, file)
"""
HOOK = """
log_config = dict(interval=2, hooks=[dict(type='MMDetWandbHook', init_kwargs=dict(project='p'), interval=2,
    log_checkpoint=True, log_checkpoint_metadata=True, num_eval_images=3, bbox_score_thr=0.0)])
"""


def train(folder, world, settings):
    """What a training with more settings tells wandb."""
    (folder / 'wandb.py').write_text(STAND_IN.replace('CALLS', str(folder / 'calls.json')))
    (folder / 'c.py').write_text(f"_base_ = '{world}/tiny.py'\n" + settings)
    options = ('--work-dir', folder / 'work', '--seed', 0)
    run_tool('tools/train.py', folder / 'c.py', *options, search_path=(str(folder),))
    return json.loads((folder / 'calls.json').read_text())


@pytest.fixture(scope='module')
def calls(tmp_path_factory, world):
    """What a training of two epochs on 8 images tells wandb."""
    return train(tmp_path_factory.mktemp('wandb'), world, HOOK)


def test_training_is_logged_with_config_and_metrics(calls):
    assert calls[0] == ['init', dict(project='p')]
    assert next('model' in call[1] for call in calls if call[0] == 'config')
    logged = [call for call in calls if call[0] == 'log']
    assert any('train/loss_rpn_cls' in tags for _, _, tags in logged)
    assert sum('val/bbox_mAP' in tags for _, _, tags in logged) == 2


def test_training_uploads_checkpoints_with_their_metrics(calls):
    uploads = [call for call in calls if call[0] == 'log_artifact']
    assert [call[2] for call in uploads] == [['epoch_1', 'latest'], ['epoch_2', 'latest']]
    assert all(call[1] == 'run_x1_model' and 'bbox_mAP' in call[3] for call in uploads)
    assert [call[3]['epoch'] for call in uploads] == [1, 2]


def test_training_shows_the_objects_once_and_detections_after_each_evaluation(calls):
    (objects,) = [call for call in calls if call[0] == 'use_artifact']
    assert objects[4] == [3] and all(kind == ['ground_truth'] for kind, _ in objects[5])
    shown = [call for call in calls if call[0] == 'run.log_artifact']
    assert [call[2] for call in shown] == [['latest', 'epoch_1'], ['latest', 'epoch_2']]
    assert all(call[4] == [3] and {tuple(kind) for kind, _ in call[5]} == {('predictions',)} for call in shown)
    assert sum(count for _, count in shown[1][5]) > 3


BY_ITERATION = """
log_config['hooks'][0]['by_epoch'] = False
runner = dict(_delete_=True, type='IterBasedRunner', max_iters=4)
evaluation = dict(interval=2)
checkpoint_config = dict(interval=2, by_epoch=False)
"""


def test_training_by_iterations_uploads_each_thing_once(tmp_path, world):
    told = train(tmp_path, world, HOOK + BY_ITERATION)
    assert [call[2] for call in told if call[0] == 'log_artifact'] == [[f'iter_{i}', 'latest'] for i in (2, 4)]
    assert [call[2] for call in told if call[0] == 'run.log_artifact'] == [['latest', f'iter_{i}'] for i in (2, 4)]
    assert all('bbox_mAP' in call[3] for call in told if call[0] == 'log_artifact')
