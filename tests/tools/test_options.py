"""Every script under ``tools`` answers ``--help``, and has the options, with their defaults, that users know."""

import argparse
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [path for path in sorted((ROOT / 'tools').rglob('*.py')) if '__main__' in path.read_text()]

# script -> arguments and options without default, switches, options with default
TABLE = {
    'test.py': (
        'config checkpoint --work-dir --out --gpu-ids --eval --show-dir --tmpdir '
        '--cfg-options --options --eval-options',
        '--fuse-conv-bn --format-only --show --gpu-collect',
        {'--gpu-id': 0, '--show-score-thr': 0.3, '--launcher': 'none', '--local_rank': 0},
    ),
    'train.py': (
        'config --work-dir --resume-from --gpus --gpu-ids --seed --options --cfg-options',
        '--auto-resume --no-validate --diff-seed --deterministic --auto-scale-lr',
        {'--gpu-id': 0, '--launcher': 'none', '--local_rank': 0},
    ),
    'analysis_tools/analyze_logs.py': (
        'json_logs --title --legend --backend --out',
        '--include-outliers',
        {'--keys': ['bbox_mAP'], '--start-epoch': '1', '--eval-interval': '1', '--style': 'dark'},
    ),
    'analysis_tools/analyze_results.py': (
        'config prediction_path show_dir --cfg-options',
        '--show --overlay-gt-pred',
        {'--wait-time': 0, '--topk': 20, '--show-score-thr': 0},
    ),
    'analysis_tools/benchmark.py': (
        'config checkpoint --cfg-options',
        '--fuse-conv-bn',
        {'--repeat-num': 1, '--max-iter': 2000, '--log-interval': 50, '--launcher': 'none', '--local_rank': 0},
    ),
    'analysis_tools/coco_error_analysis.py': (
        'result out_dir',
        '--extraplots',
        {
            '--ann': 'data/coco/annotations/instances_val2017.json',
            '--types': ['bbox'],
            '--areas': [1024, 9216, 10000000000],
        },
    ),
    'analysis_tools/coco_occluded_separated_recall.py': (
        'result --out',
        '',
        {'--score-thr': 0.3, '--iou-thr': 0.75, '--ann': 'data/coco/annotations/instances_val2017.json'},
    ),
    'analysis_tools/confusion_matrix.py': (
        'config prediction_path save_dir --nms-iou-thr --cfg-options',
        '--show',
        {'--color-theme': 'plasma', '--score-thr': 0.3, '--tp-iou-thr': 0.5},
    ),
    'analysis_tools/eval_metric.py': ('config pkl_results --eval --cfg-options --eval-options', '--format-only', {}),
    'analysis_tools/get_flops.py': ('config --cfg-options', '', {'--shape': [1280, 800], '--size-divisor': 32}),
    'analysis_tools/optimize_anchors.py': (
        'config --output-dir',
        '',
        {'--device': 'cuda:0', '--input-shape': [608, 608], '--algorithm': 'differential_evolution', '--iters': 1000},
    ),
    'analysis_tools/robustness_eval.py': (
        'filename --metric',
        '',
        {'--dataset': 'coco', '--task': ['bbox'], '--prints': 'mPC', '--aggregate': 'benchmark'},
    ),
    'analysis_tools/test_robustness.py': (
        'config checkpoint --out --eval --show-dir --tmpdir --seed --cfg-options',
        '--summaries --show',
        {
            '--corruptions': 'benchmark',
            '--severities': [0, 1, 2, 3, 4, 5],
            '--iou-thr': 0.5,
            '--workers': 32,
            '--show-score-thr': 0.3,
            '--launcher': 'none',
            '--local_rank': 0,
            '--final-prints': 'mPC',
            '--final-prints-aggregate': 'benchmark',
        },
    ),
    'misc/browse_dataset.py': (
        'config --output-dir --cfg-options',
        '--not-show',
        {'--skip-type': ['DefaultFormatBundle', 'Normalize', 'Collect'], '--show-interval': 2},
    ),
    'misc/gen_coco_panoptic_test_info.py': ('data_root', '', {}),
    'misc/get_image_metas.py': ('config', '', {'--out': 'validation-image-metas.pkl', '--nproc': 4}),
    'misc/print_config.py': ('config --options --cfg-options', '', {}),
    'misc/split_coco.py': (
        '',
        '',
        {
            '--data-root': './data/coco/',
            '--out-dir': './data/coco_semi_annos/',
            '--labeled-percent': [1, 2, 5, 10],
            '--fold': 5,
        },
    ),
    'model_converters/detectron2pytorch.py': ('src dst depth', '', {}),
    'model_converters/publish_model.py': ('in_file out_file', '', {}),
    'model_converters/regnet2mmdet.py': ('src dst', '', {}),
    'model_converters/selfsup2mmdet.py': ('src dst --selfsup', '', {}),
    'model_converters/upgrade_model_version.py': ('in_file out_file', '', {'--num-classes': 81}),
    'model_converters/upgrade_ssd_version.py': ('in_file out_file', '', {}),
}
# what this project has beside them
OURS = {'--trust-checkpoint', '--allow-partial', '--skip-broken', '--normalise', '--occluded-ann', '--separated-ann'}


class Parsed(Exception):
    """Stops a script where it begins to read its command line."""


@pytest.fixture
def parser_of(monkeypatch):
    """Gives the parser of a script."""

    def stop(self, *args, **kwargs):
        raise Parsed(self)

    def load(path):
        spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.syspath_prepend(str(path.parent))
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [str(path)])
        with monkeypatch.context() as patched, pytest.raises(Parsed) as stopped:
            patched.setattr(argparse.ArgumentParser, 'parse_args', stop)
            module.parse_args()
        return stopped.value.args[0]

    return load


def actions(parser):
    """All actions of a parser and of the commands below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)
        elif not isinstance(action, argparse._HelpAction):
            yield action


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda path: path.name)
def test_script_answers_help(path, parser_of):
    parser = parser_of(path)
    assert parser.format_help().startswith('usage: ') and parser.description


@pytest.mark.parametrize('script', TABLE)
def test_script_has_the_options_of_the_table(script, parser_of):
    plain, switches, defaults = TABLE[script]
    wanted = {**dict.fromkeys(plain.split()), **dict.fromkeys(switches.split(), False), **defaults}
    found = {}
    for action in actions(parser_of(ROOT / 'tools' / script)):
        name = next((flag for flag in action.option_strings if flag in wanted), None)
        found[name or (action.option_strings or [action.dest])[0]] = action.default
    assert {name: value for name, value in found.items() if name not in OURS} == wanted
