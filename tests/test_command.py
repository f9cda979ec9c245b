"""The command ``mmdet``, and what a build puts beside the package for it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mmdet import __main__ as command
from mmdet.utils import shipped

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder of scripts in the place where a wheel has them."""
    for name in ('show.py', 'deep/show.py', 'deep/print_all.py', 'deep/helper.py', 'test.py'):
        path = tmp_path / 'tools' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        end = '' if 'helper' in name else "if __name__ == '__main__':\n    print(sys.argv, sys.path[0])\n"
        path.write_text(f'"""Shows {name}: ``python it``."""\nimport sys\n{end}')
    monkeypatch.setattr(shipped, 'IN_WHEEL', tmp_path)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    monkeypatch.setattr(sys, 'argv', list(sys.argv))
    return tmp_path / 'tools'


def test_scripts_are_commands_and_helpers_are_not(tools):
    found = command.commands()
    assert set(found) == {'show', 'deep/show', 'print-all', 'deep/print-all', 'test'}
    assert found['show'] == tools / 'show.py' and found['deep/show'] == tools / 'deep/show.py'


def test_usage_begins_with_the_usual_commands(tools, capsys):
    command.main([])
    lines = capsys.readouterr().out.splitlines()
    shown = ['test       Shows test.py', 'print-all  Shows deep/print_all.py', 'show       Shows show.py']
    assert [line.strip() for line in lines[2:5]] == shown


def test_script_runs_with_its_arguments_and_folder(tools, capsys):
    command.main(['print-all', 'a', '--b'])
    script = tools / 'deep/print_all.py'
    assert capsys.readouterr().out == f"['{script}', 'a', '--b'] {script.parent}\n"


def test_unknown_command_names_the_nearest(tools):
    with pytest.raises(SystemExit, match="there is no command 'shwo'; did you mean 'show'"):
        command.main(['shwo'])


def test_shipped_config_is_found_from_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = 'configs/retinanet/retinanet_r50_fpn_1x_coco.py'
    assert command.with_shipped_config(name) == str(ROOT / name) and str(ROOT / name) in capsys.readouterr().err
    others = ('configs/none.py', 'my.py', 'configs/retinanet')
    assert [command.with_shipped_config(other) for other in others] == list(others)
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text('')
    assert command.with_shipped_config(name) == name  # the one of the current folder comes first
    command.main(['configs', 'retinanet', 'r18'])
    listed = capsys.readouterr().out.split()
    assert str(ROOT / 'configs/retinanet/retinanet_r18_fpn_1x_coco.py') in listed and len(listed) == 3


def test_every_tool_with_options_is_a_command():
    found = set(command.commands().values())
    for path in (ROOT / 'tools').rglob('*.py'):
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert 'parse_args' not in names or path in found, path
    assert command.purpose(ROOT / 'tools/train.py') == 'Train a detector'


def test_missing_folders_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, 'PACKAGE', tmp_path / 'mmdet')
    monkeypatch.setattr(shipped, 'IN_WHEEL', tmp_path / 'mmdet/.mim')
    with pytest.raises(FileNotFoundError, match='this installation of mmdet has no tools'):
        shipped.shipped_folder('tools')


def test_build_puts_configs_and_tools_into_the_package(tmp_path):
    build = [sys.executable, 'setup.py', '-q', 'build_py', '--build-lib', str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    shipped_there = tmp_path / 'mmdet/.mim'
    for folder in ('configs', 'tools', 'demo'):
        source = {path.relative_to(ROOT) for path in (ROOT / folder).rglob('*.py')}
        assert source == {path.relative_to(shipped_there) for path in (shipped_there / folder).rglob('*.py')}
    assert (tmp_path / 'mmdet/py.typed').is_file()
