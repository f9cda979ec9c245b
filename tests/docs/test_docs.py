"""What the pages show is run: python blocks are executed, command lines are parsed by the script that they call."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').rglob('*.md'))]


def blocks(page, language):
    return re.findall(rf'^```{language}\n(.*?)^```', page.read_text(), re.DOTALL | re.MULTILINE)


def commands():
    for page in PAGES:
        for line in '\n'.join(blocks(page, 'bash')).replace('\\\n', ' ').splitlines():
            if line.startswith(('python ', '.venv/bin/python ')) and '.py' in line:
                yield pytest.param(line, id=f'{page.name}: {line[:60]}')


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.name)
def test_python_blocks_of_the_page_run(page):
    namespace = {}
    for block in blocks(page, 'python'):
        exec(compile(block, str(page), 'exec'), namespace)


@pytest.mark.parametrize('page', PAGES, ids=lambda p: p.name)
def test_links_of_the_page_lead_somewhere(page):
    targets = re.findall(r'\]\((?!https?://|#)([^)#]+)', page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize('line', commands())
def test_command_line_is_accepted_by_its_script(line, monkeypatch):
    script, *arguments = shlex.split(line, comments=True)[1:]
    spec = importlib.util.spec_from_file_location('script_of_a_page', ROOT / script)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, 'argv', [script, *arguments])
    monkeypatch.syspath_prepend(str((ROOT / script).parent))
    spec.loader.exec_module(module)
    module.parse_args()
