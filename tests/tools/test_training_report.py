"""The report of a run: by its tools, each as a process, and at the end of a training."""

import json
import pickle
import re

import numpy as np
import pytest
from tool_process import ROOT, run_tool

from mmdet.utils.running.json_log import LogError, global_iterations, latest_json_log, read_json_log

TOOL = 'tools/analysis_tools/report.py'
MIXED = """
_base_ = '{folder}/tiny.py'
part = dict(type='CocoDataset', classes=('red', 'green'), ann_file='{folder}/ann.json', img_prefix='{folder}/img/')
data = dict(test=dict(_delete_=True, type='ConcatDataset', datasets=[
    dict(name='first', pipeline={{{{_base_.test_pipeline}}}}, **part),
    dict(name='second', pipeline={{{{_base_.test_pipeline}}}}, **part)]))
"""


@pytest.fixture(scope='module')
def mixed(world, tmp_path_factory):
    """A folder with a config that tests on two joined data sets, and with results of both."""
    folder = tmp_path_factory.mktemp('mixed')
    (folder / 'mixed.py').write_text(MIXED.format(folder=world))
    results = pickle.loads((world / 'results.pkl').read_bytes())
    (folder / 'results.pkl').write_bytes(pickle.dumps(results * 2))
    rows = [dict(mode='train', epoch=e, iter=i, loss=2.0 / e, time=0.1) for e in (1, 2) for i in (5, 10)]
    rows.append(dict(mode='val', epoch=2, iter=3, bbox_mAP=0.5))
    (folder / '1.log.json').write_text('\n'.join(map(json.dumps, [dict(env_info='x'), *rows])) + '\n{"mode": "tra')
    return folder


def page_data(path):
    text = path.read_text(encoding='utf-8')
    return text, json.loads(re.search(r'id="report-data">(.*?)</script>', text)[1])


def test_report_of_joined_data_sets_with_thresholds_and_files(mixed, tmp_path):
    out = tmp_path / 'page.html'
    done = run_tool(
        *(TOOL, mixed / 'mixed.py', mixed, '--out', out, '--pictures-dir', tmp_path / 'pictures'),
        *('--export-thresholds', tmp_path / 't.csv', '--examples', 4),
    )
    text, data = page_data(out)
    assert f'report: {out}' in done.text and 'first_bbox_mAP' in text and 'second_bbox_mAP' in text
    assert data['classes'] == ['red', 'green'] and {e['kind'] for e in data['examples']} >= {'missed', 'wrong class'}
    assert (tmp_path / 't.csv').read_text().splitlines()[0].startswith('name,objects,')
    assert list((tmp_path / 'pictures').iterdir())


def test_report_compares_two_runs(mixed, world, tmp_path):
    options = ('--compare', world, '--compare-config', world / 'tiny.py', '--out', tmp_path / 'r.html', '--examples', 2)
    run_tool(TOOL, mixed / 'mixed.py', mixed, *options)
    assert page_data(tmp_path / 'r.html')[1]['runs'] == [mixed.name, world.name]


def test_training_report_writes_the_same_page(mixed, tmp_path):
    options = ('--results', mixed / 'results.pkl', '--pictures', 2)
    run_tool('tools/analysis_tools/training_report.py', mixed / 'mixed.py', mixed, *options)
    text, data = page_data(mixed / 'report.html')
    assert 'score 0.5 for all classes' in text and data['history'][0]['figures'][0][:2] == ['bbox_mAP', [20]]


def test_analysis_tools_take_joined_data_sets(mixed, tmp_path):
    results = mixed / 'results.pkl'
    done = run_tool('tools/analysis_tools/confusion_matrix.py', mixed / 'mixed.py', results, tmp_path)
    assert '8 of 12 objects' in done.text
    done = run_tool('tools/analysis_tools/analyze_results.py', mixed / 'mixed.py', results, tmp_path)
    assert '6 best and 6 worst of 16 images' in done.text and '4 without objects' in done.text


def test_report_of_wrong_input_says_so(mixed, tmp_path):
    (tmp_path / 'short.pkl').write_bytes(pickle.dumps([]))
    done = run_tool(TOOL, mixed / 'mixed.py', mixed, '--results', tmp_path / 'short.pkl', check=False)
    assert '0 results for the 16 images' in done.error
    done = run_tool(TOOL, mixed / 'mixed.py', tmp_path / 'absent', check=False)
    assert 'there is no folder' in done.error
    done = run_tool(TOOL, mixed / 'mixed.py', mixed, '--compare', tmp_path / 'absent', check=False)
    assert '--compare: there is no folder' in done.error
    done = run_tool(TOOL, mixed / 'mixed.py', mixed, '--score-thr', 'nan', check=False)
    assert '--score-thr: expected a number from 0 to 1, got nan' in done.error
    three = [[np.zeros((0, 5), np.float32)] * 3] * 16
    (tmp_path / 'three.pkl').write_bytes(pickle.dumps(three))
    done = run_tool(TOOL, mixed / 'mixed.py', mixed, '--results', tmp_path / 'three.pkl', check=False)
    assert 'three.pkl: result 0 has 3 classes, the data set 2: red, green' in done.error


def test_training_ends_with_a_report_where_the_config_asks_for_one(world, tmp_path):
    options = ('--cfg-options', 'report.examples=3', 'runner.max_epochs=1', '--seed', 0)
    done = run_tool('tools/train.py', world / 'tiny.py', '--work-dir', tmp_path / 'w', *options)
    text, data = page_data(tmp_path / 'w/report.html')
    assert 'report.html' in done.text and 'data.val: 8 images' in text and (tmp_path / 'w/results_val.npz').is_file()
    assert len(data['history'][0]['losses'][0][1]) == 4


def test_log_iterations_go_on_over_epochs_and_a_torn_last_line_is_passed_over(mixed):
    rows = read_json_log(latest_json_log(mixed))
    assert global_iterations(rows) == [5, 10, 15, 20]
    assert [row['mode'] for row in rows].count('val') == 1


def test_log_with_a_broken_line_in_the_middle_names_it(tmp_path):
    (tmp_path / 'a.log.json').write_text('{}\nnot json\n{}\n')
    with pytest.raises(LogError, match='line 2'):
        read_json_log(latest_json_log(tmp_path))
    for line, message in (('[1]', 'expected an object'), ('{"mode": "train", "epoch": 1}', 'no number for iter')):
        (tmp_path / 'a.log.json').write_text(f'{line}\n')
        with pytest.raises(LogError, match=message):
            read_json_log(latest_json_log(tmp_path))


def test_log_missing_says_what_to_configure(tmp_path):
    with pytest.raises(FileNotFoundError, match='TextLoggerHook'):
        latest_json_log(tmp_path)


def test_make_demo_ends_with_the_report_and_three_commands_to_go_on_with():
    recipe = (ROOT / 'Makefile').read_text().split('\ndemo:')[1].split('\n\n')[0]
    report, _, commands = recipe.partition('next, with data of your own')
    assert f'$(PY) {TOOL} $(DEMO_CONFIG) $(WORK) --results' in report.splitlines()[-2]
    named = re.findall(r'(tools/\w+\.py)', commands)
    assert named == ['tools/make_config.py', 'tools/train.py', 'tools/predict.py']
    assert all((ROOT / name).is_file() for name in named)
