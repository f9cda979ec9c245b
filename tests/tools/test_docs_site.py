"""How the pages of docs/ become a site: their order, and where links out of docs/ lead."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def site():
    spec = importlib.util.spec_from_file_location('docs_site', ROOT / 'tools/misc/docs_site.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name, generated=None):
    return SimpleNamespace(file=SimpleNamespace(src_uri=name, generated_by=generated))


def test_sections_follow_the_tables_of_the_index(site):
    index = '| to begin with | |\n| --- | --- |\n| [a.md](a.md), [b](x/b.md) | see [c.md](c.md) |\n'
    index += '\n| more | |\n| [d](d.md) | |'
    assert site.sections(index) == [{'To begin with': ['a.md', 'x/b.md']}, {'More': ['d.md']}]


def test_every_page_has_its_place_in_the_order(site):
    config = site.on_config(SimpleNamespace())
    listed = [name for section in config.nav[1:-1] for pages in section.values() for name in pages]
    pages = {path.relative_to(ROOT / 'docs').as_posix() for path in (ROOT / 'docs').rglob('*.md')} - {'README.md'}
    assert pages <= set(listed) and len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ('name', 'link', 'becomes'),
    [
        ('model_zoo.md', '[atss](../configs/atss)', '[atss](configs/atss.md)'),
        ('tutorials/config.md', '[all](../../configs)', '[all](../configs/index.md)'),
        ('tutorials/config.md', '[a](../mixing.md#policies)', '[a](../mixing.md#policies)'),
        ('README.md', '[map](../CONTRIBUTING.md)', '[map](contributing.md)'),
        ('mixing.md', '[code](../mmdet/apis/train.py) there', 'code there'),
        ('mixing.md', '[paper](https://example.org/a.pdf)', '[paper](https://example.org/a.pdf)'),
        ('about.md', '[all](docs/README.md)', '[all](README.md)'),
    ],
)
def test_link_leads_to_a_page_of_the_site(site, name, link, becomes):
    generated = 'hook' if name == 'about.md' else None
    assert site.on_page_markdown(link, page(name, generated), None, None) == becomes


def test_configs_are_listed_with_their_parents(site):
    content = site.config_page('retinanet')
    row = '| `retinanet_r50_fpn_2x_coco.py` | `./retinanet_r50_fpn_1x_coco.py` |'
    assert row in content and content.count('\n| `') == len(list((ROOT / 'configs/retinanet').glob('*.py')))


def test_roles_of_docstrings_are_shown_as_code(site):
    html = 'from :func:<code>init_detector</code>, :class:<code>~mmdet.ops.RoIAlign</code>'
    assert site.on_page_content(html, None, None, None) == 'from <code>init_detector</code>, <code>RoIAlign</code>'


def test_reference_names_packages_that_say_what_is_public(site):
    for name in site.REFERENCE:
        folder = ROOT / name.replace('.', '/')
        assert '__all__' in (folder / '__init__.py').read_text(), name


def test_settings_load_nothing_from_elsewhere():
    text = (ROOT / 'mkdocs.yml').read_text()
    settings = yaml.safe_load(text)
    assert (
        settings['theme']['font'] is False and 'http' not in text and settings['hooks'] == ['tools/misc/docs_site.py']
    )
