"""The stages of a config: what is read, what is refused, and the configs that come of it."""

import json

import numpy as np
import pytest
from mmcv import Config, ConfigDict

from mmdet.apis.stage_configs import leaf_datasets, stage_config, stage_model, with_proposals
from mmdet.apis.stage_plan import Stage, StagePlanError, read_stages
from mmdet.apis.stage_record import StageRecord, result_settings
from mmdet.apis.stages import single_files

RPN = dict(name='rpn', detector='RPN')


def test_stages_are_read_with_texts_for_single_parts():
    first, second = read_stages([RPN, dict(name='whole', weights=dict(rpn=''), frozen='backbone')])
    assert first == Stage('rpn', 'RPN')
    assert second.weights == {'rpn': ('',)} and second.frozen == ('backbone',)


@pytest.mark.parametrize(
    ('entries', 'message'),
    [
        (None, 'has no stages'),
        ([dict(detector='RPN')], r'stages\[0\]: expected dict\(name'),
        ([dict(name='a', detctor='RPN')], "unknown field 'detctor'; did you mean 'detector'"),
        ([dict(name='a', detector='FastRCN')], "did you mean 'FastRCNN'"),
        ([RPN, RPN], 'earlier stage of that name'),
        ([RPN, dict(name='d', detector='FastRCNN')], 'go together'),
        ([RPN, dict(name='d', detector='FastRCNN', proposals='rpm')], "no stage 'rpm' before it; did you mean 'rpn'"),
        ([RPN, dict(name='d', weights=dict(rpm='backbone'))], "'rpm' is neither; did you mean 'rpn'"),
        ([dict(name='a/b')], 'cannot be a folder'),
        (
            [
                RPN,
                dict(name='d', detector='FastRCNN', proposals='rpn'),
                dict(name='e', detector='FastRCNN', proposals='d'),
            ],
            "'d' makes no proposals",
        ),
    ],
)
def test_impossible_stages_are_refused(entries, message):
    with pytest.raises(StagePlanError, match=message):
        read_stages(entries)


def test_stage_models_keep_the_parts_and_sections_that_they_need():
    whole = ConfigDict(
        type='FasterRCNN',
        backbone=dict(type='B'),
        directives=dict(weights=True),
        fixed_size=True,
        rpn_head=dict(type='R'),
        roi_head=dict(type='H'),
        train_cfg=dict(rpn=dict(a=1), rpn_proposal=dict(b=1), rcnn=dict(c=1)),
        test_cfg=dict(rpn=dict(a=2), rcnn=dict(c=2)),
    )
    assert stage_model(whole, 'whole') == whole and stage_model(whole, 'whole') is not whole
    rpn = stage_model(whole, 'RPN')
    assert (rpn.type, rpn.neck, rpn.train_cfg, rpn.test_cfg) == ('RPN', None, dict(rpn=dict(a=1)), dict(rpn=dict(a=2)))
    assert rpn.directives == dict(weights=True) and rpn.fixed_size and 'roi_head' not in rpn
    fast = stage_model(whole, 'FastRCNN')
    assert set(fast) == {'type', 'backbone', 'neck', 'roi_head', 'train_cfg', 'test_cfg', 'directives'}
    with pytest.raises(StagePlanError, match='the RetinaNet of the config has no roi_head'):
        stage_model(ConfigDict(type='RetinaNet', backbone={}), 'FastRCNN')


def test_options_and_frozen_parts_change_a_copy_of_the_config():
    cfg = Config(dict(model=dict(type='X'), runner=dict(max_iters=5), custom_hooks=[dict(type='Other')]))
    changed = stage_config(cfg, Stage('s', frozen=('backbone',), options={'runner.max_iters': 2}))
    assert (cfg.runner.max_iters, changed.runner.max_iters) == (5, 2)
    assert [hook.type for hook in changed.custom_hooks] == ['FreezeHook', 'Other'] and len(cfg.custom_hooks) == 1


def test_pipelines_get_proposals_through_bundles_and_through_test_time_augmentation():
    train = [dict(type='LoadImageFromFile'), dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img'])]
    assert [step['type'] for step in with_proposals(train)] == [
        'LoadImageFromFile',
        'LoadProposals',
        'DefaultFormatBundle',
        'Collect',
    ]
    assert with_proposals(train)[-1]['keys'] == ['img', 'proposals'] and train[-1]['keys'] == ['img']
    inner = [dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])]
    test = with_proposals([dict(type='LoadImageFromFile'), dict(type='MultiScaleFlipAug', transforms=inner)])
    assert [step['type'] for step in test[2]['transforms']] == [
        'ImageToTensor',
        'ToTensor',
        'ToDataContainer',
        'Collect',
    ]
    assert with_proposals(test) is test  # a pipeline that loads proposals already is left alone


def test_data_sets_are_found_inside_wrappers_and_split_by_file():
    inner = ConfigDict(type='A', ann_file=['a', 'b'], img_prefix=['x', 'y'], pipeline=[])
    wrapped = ConfigDict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[inner, inner]))
    leaves = list(leaf_datasets(wrapped))
    assert len(leaves) == 2
    assert [(part.ann_file, part.img_prefix) for part in single_files(leaves[0])] == [('a', 'x'), ('b', 'y')]


def test_record_goes_on_with_the_same_plan_only(tmp_path):
    stages = read_stages([RPN, dict(name='whole', weights=dict(rpn=''))])
    record = StageRecord(tmp_path, stages, dict(seed=1))
    record.add('rpn', {'AR@100': 0.25}, 3.21)
    again = StageRecord(tmp_path, stages, dict(seed=1))
    assert again.is_done('rpn') and not again.is_done('whole')
    assert '| rpn | 0.250 | 3 |' in (tmp_path / 'stages.md').read_text()
    with pytest.raises(StagePlanError, match='record of other stages'):
        StageRecord(tmp_path, stages[:1], dict(seed=1))


def run_config(**changes):
    cfg = Config(
        dict(
            seed=0,
            work_dir='a',
            log_config=dict(interval=50),
            optimizer=dict(type='SGD', lr=0.02),
            data=dict(samples_per_gpu=2, workers_per_gpu=2, train=dict(ann_file='a.json', pipeline=[dict(type='Pad')])),
        )
    )
    cfg.merge_from_dict(changes)
    return cfg


@pytest.mark.parametrize(
    ('changes', 'processes', 'message'),
    [
        ({'seed': 1}, 2, r'stages.json is the record of .* settings: seed was 0 and is 1. .* give another --work-dir'),
        (
            {'optimizer.lr': 0.01, 'data.samples_per_gpu': 4},
            2,
            'samples_per_gpu was 2 and is 4, .*lr was 0.02 and is 0',
        ),
        ({'data.train.pipeline.0.type': 'Resize'}, 2, "data.train.pipeline.0.type was 'Pad' and is 'Resize'"),
        ({'optimizer.momentum': 0.9}, 2, 'optimizer.momentum was not set and is 0.9'),
        ({'fp16': dict(loss_scale=512.0)}, 2, 'fp16.loss_scale was not set'),
        ({}, 1, 'processes was 2 and is 1'),
        ({'work_dir': 'b', 'log_config.interval': 1, 'data.workers_per_gpu': 0, 'data.test': dict(type='A')}, 2, None),
    ],
)
def test_record_of_other_settings_is_refused_with_both_values(changes, processes, message, tmp_path):
    stages = read_stages([RPN])
    StageRecord(tmp_path, stages, result_settings(run_config(), 2)).write()
    settings = result_settings(run_config(**changes), processes)
    if message is None:
        assert StageRecord(tmp_path, stages, settings).rows == []
    else:
        with pytest.raises(StagePlanError, match=message):
            StageRecord(tmp_path, stages, settings)


def test_record_of_an_earlier_version_has_the_seed_alone(tmp_path):
    record = StageRecord(tmp_path, read_stages([RPN]), {})
    content = dict(plan=record.plan, seed=3, rows=[dict(stage='rpn', figures={}, seconds=1.0)])
    record.path.write_text(json.dumps(content))
    settings = result_settings(run_config(seed=3), 1)
    assert StageRecord(tmp_path, read_stages([RPN]), settings).is_done('rpn')
    with pytest.raises(StagePlanError, match='seed was 3 and is 4'):
        StageRecord(tmp_path, read_stages([RPN]), {**settings, 'seed': 4})


def test_settings_are_the_same_in_every_process():
    values = {'b': lambda: 0, 'c': {'x', 'y'}, 'd': (1, [], {(1, 2): 3}), 'e': np.arange(2)}
    values = dict(optimizer=values)
    found = result_settings(values, 1)
    assert '0x' not in found.pop('optimizer.b')
    assert found == {
        'processes': 1, 'optimizer.c.0': 'x', 'optimizer.c.1': 'y', 'optimizer.d.0': 1, 'optimizer.d.1': [],
        'optimizer.d.2.(1, 2)': 3, 'optimizer.e.0': 0, 'optimizer.e.1': 1,
    }  # fmt: skip
