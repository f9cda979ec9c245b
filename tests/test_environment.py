"""What an import of the package says about the mmcv that it finds, and the version numbers."""

import subprocess
import sys
from pathlib import Path

import pytest

import mmdet
from mmdet._environment import digit_version, mmcv_problem
from mmdet.version import parse_version_info

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize('found', [{'mmcv': '1.7.0'}, {'mmcv': '1.7.2'}, {'mmcv-full': '1.7.2'}])
def test_mmcv_1_7_of_either_kind_is_accepted(found):
    assert mmcv_problem(found) is None


@pytest.mark.parametrize(
    'found, says',
    [
        ({}, 'is not installed; run: pip install'),
        ({'mmcv': '2.1.0'}, 'mmcv 2.1.0 is installed; run: pip uninstall -y mmcv, then'),
        ({'mmcv-full': '1.6.2'}, 'mmcv-full 1.6.2 is installed; run: pip uninstall -y mmcv-full, then'),
        ({'mmcv': '1.7.2', 'mmcv-full': '1.7.2'}, 'overwrite each other; run: pip uninstall -y mmcv mmcv-full'),
    ],
)
def test_unusable_mmcv_is_one_sentence_with_a_command(found, says):
    problem = mmcv_problem(found)
    assert says in problem
    assert '\n' not in problem


def test_import_without_mmcv_says_what_to_run(tmp_path):
    # a module that cannot be imported and has no distribution stands in the way of the real one
    (tmp_path / 'mmcv.py').write_text("raise ImportError('no mmcv here')\n")
    (tmp_path / 'sitecustomize.py').write_text(
        'import importlib.metadata as m\n'
        'real = m.version\n'
        'def version(name):\n'
        "    if name.startswith('mmcv'):\n"
        '        raise m.PackageNotFoundError(name)\n'
        '    return real(name)\n'
        'm.version = version\n'
    )
    code = f'import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import sitecustomize, mmdet'
    env = {'PYTHONPATH': str(tmp_path), 'PATH': ''}
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=env, check=False)
    assert run.returncode == 1
    assert 'mmdet needs mmcv 1.7.x, which is not installed; run: pip install' in run.stderr


def test_version_continues_the_2_x_line():
    assert mmdet.__version__ == '2.29.0'
    assert mmdet.version_info == (2, 29, 0)
    assert digit_version(mmdet.__version__) > digit_version('2.28.2')


def test_digit_version_sorts_a_candidate_before_its_release():
    assert digit_version('2.0.0rc1') < digit_version('2.0.0rc2') < digit_version('2.0.0')
    assert digit_version('1.7.2+cu118') == digit_version('1.7.2')


def test_parse_version_info_keeps_the_candidate():
    assert parse_version_info('2.29.0rc1') == (2, 29, 0, 'rc1')
