"""What cannot be installed is refused by name before anything is downloaded; the setup of mmcv runs on any Python."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'tools/misc/install_mmcv.sh'
MEND = ROOT / 'tools/misc/mmcv_build/sitecustomize.py'


def check(*arguments, **environment):
    command = ['bash', str(SCRIPT), '--check', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def python_of_version(folder, version):
    """An executable that says it is a Python of that version."""
    path = folder / 'python'
    path.write_text(f'#!/bin/sh\necho {version}\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize('version', ['3.10', '3.11', '3.12', '3.13'])
def test_supported_pythons_pass_the_check(tmp_path, version):
    done = check(python_of_version(tmp_path, version), 'mmcv', '1.7.2')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.mark.parametrize('version', ['3.8', '3.9', '3.14'])
def test_other_pythons_are_refused_by_name(tmp_path, version):
    done = check(python_of_version(tmp_path, version), 'mmcv', '1.7.2')
    assert done.returncode == 2
    assert f'Python {version} ' in done.stderr and 'make install PYTHON=python3.12' in done.stderr


@pytest.mark.parametrize(
    ('arguments', 'environment', 'says'),
    [
        ((sys.executable, 'mmcv-lite', '1.7.2'), {}, "unknown kind of mmcv: 'mmcv-lite'; it is mmcv or mmcv-full"),
        ((sys.executable, 'mmcv', '2.1.0'), {}, 'mmcv 2.1.0 is not supported; mmdet is written for mmcv 1.7.x'),
        (('no-such-python', 'mmcv', '1.7.2'), {}, "'no-such-python' is no Python that runs; name one of 3.10 to 3.13"),
        ((sys.executable, 'mmcv-full', '1.7.2'), {'CXX': 'no-such-c++'}, "there is no C++ compiler 'no-such-c++'"),
    ],
)
def test_what_is_missing_is_named(arguments, environment, says):
    done = check(*arguments, **environment)
    assert done.returncode == 2 and says in done.stderr


def test_make_refuses_before_it_makes_an_environment(tmp_path):
    venv = tmp_path / 'venv'
    python = python_of_version(tmp_path, '3.9')
    command = ['make', 'install', f'PYTHON={python}', f'VENV={venv}']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode and 'Python 3.9' in done.stderr and not venv.exists()


@pytest.fixture
def leaving_names():
    spec = importlib.util.spec_from_file_location('mend_of_the_setup', MEND)
    module = importlib.util.module_from_spec(spec)
    before = exec
    spec.loader.exec_module(module)
    import builtins

    builtins.exec = before
    return module.leaving_names(before)


def test_names_of_a_program_stay_in_the_function_that_runs_it(leaving_names):
    # what the setup of mmcv does; on Python 3.13 and later plain exec leaves nothing there
    def version():
        leaving_names(compile("__version__ = '1.7.2'", 'version.py', 'exec'))
        return locals()['__version__']

    assert version() == '1.7.2'


def test_namespaces_that_are_given_are_used(leaving_names):
    namespace = {}
    leaving_names('x = 1', namespace)
    leaving_names('y = 2', globals=namespace) if sys.version_info >= (3, 13) else leaving_names('y = 2', namespace)
    assert (namespace['x'], namespace['y']) == (1, 2) and 'x' not in globals()


def test_a_module_that_runs_a_program_has_its_names(leaving_names):
    module = {'run': leaving_names}
    exec("run('def one():\\n    return two()\\ndef two():\\n    return 2')\nresult = one()", module)
    assert module['result'] == 2


def test_oldest_releases_are_told_alike():
    build = (ROOT / 'requirements/build.txt').read_text()
    floor = (ROOT / 'requirements/floor.txt').read_text()
    page = (ROOT / 'docs/installation.md').read_text()
    for name in ('numpy', 'torch', 'torchvision'):
        (oldest,) = re.findall(rf'^{name}>=([\d.]+)$', build, re.MULTILINE)
        (pinned,) = re.findall(rf'^{name}==([\d.]+)$', floor, re.MULTILINE)
        assert pinned.startswith(oldest) and f'{name} {oldest}' in page
    assert "python_requires='>=3.10,<3.14'" in (ROOT / 'setup.py').read_text()
    assert 'Python 3.10 to 3.13' in page and 'Python 3.10 to 3.13' in (ROOT / 'README.md').read_text()
