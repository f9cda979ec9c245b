"""Scripts print nothing that nobody asked for: mmcv's announcement is hidden by importing mmdet first."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from process import python

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for folder in ('tools', 'demo', 'benchmarks') for path in (ROOT / folder).rglob('*.py'))


def imported_first(path: Path) -> str | None:
    """Which of mmdet and mmcv a script's top level imports first; None: neither."""
    for node in ast.parse(path.read_text()).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names = [node.module or ''] if isinstance(node, ast.ImportFrom) else names
        for name in names:
            if name.partition('.')[0] in ('mmdet', 'mmcv'):
                return name.partition('.')[0]
    return None


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_script_imports_mmdet_before_mmcv(path):
    assert imported_first(path) != 'mmcv'


def test_help_leaves_stderr_empty():
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'CUDA_VISIBLE_DEVICES': ''}
    # a fresh interpreter, as mmcv announces itself when it is first imported
    command = [sys.executable, 'tools/dataset_converters/pascal_voc.py', '--help']
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '') and 'usage' in done.stdout


@pytest.mark.parametrize('script', ['tools/test.py', 'demo/image_demo.py'])
def test_help_of_imported_packages_leaves_stderr_empty(script):
    done = python(script, '--help')
    assert done.stderr == '' and 'usage' in done.stdout
