"""Hooks of mkdocs for the site of ``docs/`` (see ``mkdocs.yml``).

The pages are written to be read where they lie, so their links lead out of ``docs/`` as well. Here those find pages
that are made for the site: one for each folder of ``configs/``, the files beside ``docs/``, and the reference from
docstrings. The order of the pages is that of ``docs/README.md``.
"""

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r'\[([^\]]*)\]\(([^)#\s]+)((?:#[^)]*)?)\)')
ROLE = re.compile(r':(?:class|func|meth|mod|attr|data|obj|exc):<code>(~?)([^<]+)</code>')  # of docstrings, for Sphinx
SECTION = re.compile(r'^\| ([^|\[]+) \| \|$')
# files beside docs/ that become pages, and their names there
BESIDE = {'CONTRIBUTING.md': 'contributing.md', 'CHANGELOG.md': 'changelog.md', 'README.md': 'about.md'}
# packages whose faces say what is public
REFERENCE = (
    'mmdet.apis',
    'mmdet.apis.prediction',
    'mmdet.core.anchor',
    'mmdet.core.bbox',
    'mmdet.core.directives',
    'mmdet.core.evaluation',
    'mmdet.core.hook',
    'mmdet.core.mask',
    'mmdet.core.post_processing',
    'mmdet.core.visualization',
    'mmdet.datasets',
    'mmdet.datasets.pipelines',
    'mmdet.models.backbones',
    'mmdet.models.necks',
    'mmdet.models.dense_heads',
    'mmdet.models.roi_heads',
    'mmdet.models.losses',
    'mmdet.models.detectors',
    'mmdet.ops',
    'mmdet.utils',
)


def on_config(config: Any) -> Any:
    """Order the pages."""
    config.nav = [{'Pages': 'README.md'}, *sections((ROOT / 'docs/README.md').read_text(encoding='utf-8'))]
    config.nav.append({'Configs': ['configs/index.md']})  # which links to the page of each folder
    config.nav.append({'Reference': [f'reference/{name}.md' for name in REFERENCE]})
    config.nav.append({'Project': [{'README': 'about.md'}, 'contributing.md', 'changelog.md']})
    return config


def sections(index: str) -> list[dict[str, list[str]]]:
    """Title of each table of the index, and the pages that it links to."""
    found: list[dict[str, list[str]]] = []
    for line in index.splitlines():
        heading = SECTION.match(line)
        if heading:
            found.append({heading[1].capitalize(): []})
        elif line.startswith('| [') and found:
            cell = line.split(' | ')[0]
            next(iter(found[-1].values())).extend(match[2] for match in LINK.finditer(cell))
    return found


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made for the site."""
    from mkdocs.structure.files import File  # only the environment of `make docs` has it

    pages = {f'configs/{name}.md': config_page(name) for name in config_folders()}
    links = '\n'.join(f'* [{name}]({name}.md)' for name in config_folders())
    head = '# Configs\n\nOne folder a method; [the table](../model_zoo.md) says what each has.'
    pages['configs/index.md'] = f'{head}\n\n{links}\n'
    pages.update({f'reference/{name}.md': reference_page(name) for name in REFERENCE})
    pages.update({page: (ROOT / name).read_text(encoding='utf-8') for name, page in BESIDE.items()})
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def config_folders() -> list[str]:
    """Names of the folders of ``configs/``."""
    return sorted(path.name for path in (ROOT / 'configs').iterdir() if path.is_dir() and path.name != '_base_')


def config_page(name: str) -> str:
    """The configs of a folder, each with its parents."""
    rows = []
    for path in sorted((ROOT / 'configs' / name).glob('*.py')):
        rows.append(f'| `{path.name}` | {", ".join(f"`{base}`" for base in parents(path))} |')
    head = f'# configs/{name}\n\n| config | inherits |\n| --- | --- |\n'
    return head + '\n'.join(rows) + f'\n\n```bash\npython tools/train.py configs/{name}/CONFIG.py\n```\n'


def parents(path: Path) -> list[str]:
    """What ``_base_`` of a config names."""
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == '_base_':
            value = ast.literal_eval(node.value)
            return [value] if isinstance(value, str) else list(value)
    return []


def reference_page(package: str) -> str:
    """What the face of a package offers, from docstrings."""
    return f'# {package}\n\n::: {package}\n    options:\n      show_root_heading: false\n'


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links out of ``docs/`` to the pages that are made for their targets; others become plain text."""
    # README.md and its neighbours lie beside docs/, where their links start from
    origin = {'contributing.md', 'changelog.md', 'about.md'} & {page.file.src_uri}
    folder = '' if origin else posixpath.join('docs', posixpath.dirname(page.file.src_uri))
    if page.file.generated_by and not origin:
        return markdown
    here = posixpath.dirname(page.file.src_uri)

    def lead(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        if '://' in target or target.startswith('mailto:'):
            return match[0]
        inside = site_page(posixpath.normpath(posixpath.join(folder, target)))
        return f'[{text}]({posixpath.relpath(inside, here or ".")}{anchor})' if inside else text

    return LINK.sub(lead, markdown)


def site_page(target: str) -> str | None:
    """Where the site has a file of the checkout."""
    if target.startswith('docs/'):
        return target.removeprefix('docs/')
    if target in BESIDE:
        return BESIDE[target]
    if target.rstrip('/') == 'configs':
        return 'configs/index.md'
    parts = target.split('/')
    return f'configs/{parts[1]}.md' if parts[0] == 'configs' and parts[1] in config_folders() else None


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Show names that docstrings mark for Sphinx as plain code; ``~`` asks for the last part of one."""
    return ROLE.sub(lambda match: f'<code>{match[2].rpartition(".")[2] if match[1] else match[2]}</code>', html)
