"""``tools/test.py`` on joined data sets in two processes: as in one, and an error in one loses the results of none."""

import importlib.util
import json
import re
import shutil
from types import ModuleType

import pytest
from mmcv import Config
from process import ROOT
from two_processes import run_pairs

from mmdet.apis.launch import reported_errors
from mmdet.utils.plain_data import load_plain
from mmdet.utils.running.group_failure import watch_for_failures

BROKEN = 13  # of the 16 images; process 1 takes 1, 3, ..., 15


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location('tool_of_tests', ROOT / 'tools/test.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def evaluate(rank, tool, args, distributed):
    """What the tool does between joining the group and leaving it."""
    cfg = tool.prepare_config(args)
    loader = tool.build_test_loader(cfg, distributed)
    results = tool.run(tool.build_model(cfg, args, loader.dataset), loader, cfg, args, distributed)
    if rank == 0:
        tool.report(results, loader.dataset, cfg, args)


def evaluate_in_group(rank, argv):
    tool = load_tool()
    watch_for_failures()
    with reported_errors():
        evaluate(rank, tool, tool.parse_args(argv), True)


@pytest.fixture
def joined(tiny_run, tmp_path):
    """Options of the tool for a data set that is joined with itself, its second images in a folder of their own."""
    shutil.copytree(tiny_run / 'img', tmp_path / 'img')
    cfg = Config.fromfile(str(tiny_run / 'tiny.py'))
    cfg.data.workers_per_gpu = 0
    parts = [cfg.data.test, dict(cfg.data.test, img_prefix=str(tmp_path / 'img'))]
    cfg.data.test = dict(type='ConcatDataset', datasets=parts)
    config = tmp_path / 'joined.py'
    cfg.dump(str(config))
    return lambda name: [
        *(str(config), str(tiny_run / 'work/latest.pth'), '--work-dir', str(tmp_path / name), '--eval', 'bbox'),
        *('--tmpdir', str(tmp_path / f'{name}_parts')),
    ]


def figures(folder):
    (path,) = folder.glob('eval_*.json')
    return json.loads(path.read_text())['metric']


def test_figures_are_those_of_one_process_and_a_broken_image_loses_no_results(joined, tmp_path):
    tool = load_tool()
    evaluate(0, tool, tool.parse_args(joined('alone')), False)
    ends = run_pairs({'pair': (joined('pair'),)}, evaluate_in_group, tmp_path)['pair']
    assert [code for code, _ in ends] == [0, 0], ends
    assert figures(tmp_path / 'pair') == figures(tmp_path / 'alone') and len(figures(tmp_path / 'pair')) > 6

    (tmp_path / f'img/{BROKEN - 8}.png').write_bytes(b'')
    ends = run_pairs({'broken': (joined('broken'),)}, evaluate_in_group, tmp_path)['broken']
    assert [code for code, _ in ends] == [1, 1] and not any('Traceback' in text for _, text in ends), ends
    assert re.match(r'error: the run ends, .* process 1: .*img/5\.png', ends[0][1].strip().splitlines()[-1])
    parts = {path.stem[-1]: load_plain(path) for path in (tmp_path / 'broken').glob('part_of_results_*.npz')}
    assert sorted(parts) == ['0', '1'] and len(parts['1']) == BROKEN // 2 and 1 <= len(parts['0']) <= 8
