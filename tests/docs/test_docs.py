"""What the pages show is run: python blocks are executed, command lines are parsed by the script that they call.

A block that begins with ``# file: NAME`` is a file that the blocks after it may use.
"""

import importlib.util
import re
import shlex
import sys

import pytest
from mmcv.runner import HOOKS
from pages import ROOT, blocks, snippets, write_files

from mmdet.__main__ import commands as mmdet_commands
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.models.builder import MODELS

MMDET = {name: path.relative_to(ROOT).as_posix() for name, path in mmdet_commands().items()}
PENDING = {'make-config', 'report'}  # shown already, and to come
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').rglob('*.md'))]


@pytest.fixture
def page_folder(tmp_path, monkeypatch):
    """The current directory for the snippets of a page; what they register and import is forgotten afterwards."""
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    files = {name: str(getattr(module, '__file__', '')) for name, module in sys.modules.items()}
    own = {name for name, file in files.items() if file.startswith(str(tmp_path))}
    for registry in (MODELS, DATASETS, PIPELINES, HOOKS):
        for name, entry in list(registry.module_dict.items()):
            if entry.__module__ in own | {'builtins'}:  # the latter is code that was executed without a module
                del registry.module_dict[name]
    for name in own:
        del sys.modules[name]


def lines_of(page):
    return '\n'.join(blocks(page, 'bash')).replace('\\\n', ' ').splitlines()


def commands():
    """Lines that run a script, as ``python SCRIPT ARGUMENTS``."""
    for page in PAGES:
        for line in lines_of(page):
            name = line.split()[1] if line.startswith('mmdet ') else ''
            if name in MMDET:
                yield pytest.param(
                    line.replace(f'mmdet {name}', f'python {MMDET[name]}', 1), id=f'{page.name}: {line[:60]}'
                )
            if line.startswith(('python ', '.venv/bin/python ')) and '.py' in line:
                yield pytest.param(line, id=f'{page.name}: {line[:60]}')


def test_commands_of_mmdet_exist():
    names = {line.split()[1] for page in PAGES for line in lines_of(page) if line.startswith('mmdet ')}
    assert names - set(MMDET) <= PENDING


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.name)
def test_python_blocks_of_the_page_run(page, page_folder):
    write_files(page, page_folder)
    namespace = {}
    for block in snippets(page):
        exec(compile(block, str(page), 'exec'), namespace)


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.name)
def test_links_of_the_page_lead_somewhere(page):
    targets = re.findall(r'\]\((?!https?://|#)([^)#]+)', page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize('line', list(commands()))
def test_command_line_is_accepted_by_its_script(line, monkeypatch):
    script, *arguments = shlex.split(line, comments=True)[1:]
    spec = importlib.util.spec_from_file_location('script_of_a_page', ROOT / script)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, 'argv', [script, *arguments])
    monkeypatch.syspath_prepend(str((ROOT / script).parent))
    spec.loader.exec_module(module)
    module.parse_args()
