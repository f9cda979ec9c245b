"""Names on the pages are names of the tree, and tables are complete."""

import re

import pytest
from mmcv.runner import HOOKS, OPTIMIZER_BUILDERS, OPTIMIZERS, RUNNERS
from pages import ROOT, blocks

import mmdet.models.losses.utils
import mmdet.models.roi_heads.roi_extractors
from mmdet.apis.checking.config_check import check_config
from mmdet.core.bbox.builder import BBOX_ASSIGNERS, BBOX_CODERS, BBOX_SAMPLERS
from mmdet.core.optimizers.builder import OPTIMIZER_BUILDERS as OWN_BUILDERS
from mmdet.datasets.builder import DATASETS, PIPELINES
from mmdet.models.builder import MODELS

DOCS = ROOT / 'docs'
TUTORIALS = sorted((DOCS / 'tutorials').glob('*.md'))
REGISTRIES = (MODELS, DATASETS, PIPELINES, HOOKS, OPTIMIZERS, RUNNERS, OPTIMIZER_BUILDERS, OWN_BUILDERS)
REGISTRIES += (BBOX_ASSIGNERS, BBOX_CODERS, BBOX_SAMPLERS)
# not registered, or words of a sentence about names
OTHERS = {'BaseModule', 'ReducedLoss', 'BaseRoIExtractor', 'WithWeightPerImage'}


@pytest.mark.parametrize('page', TUTORIALS, ids=lambda p: p.name)
def test_page_is_short_and_listed(page):
    limit = 300 if page.name == 'customize_models.md' else 150
    assert len(page.read_text().splitlines()) <= limit
    assert f'](tutorials/{page.name})' in (DOCS / 'README.md').read_text()


def test_index_lists_every_page():
    index = (DOCS / 'README.md').read_text()
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob('*.md')} - {'README.md'}
    assert {page for page in pages if f']({page})' not in index} == set()


@pytest.mark.parametrize('page', TUTORIALS, ids=lambda p: p.name)
def test_class_names_in_the_text_are_registered(page):
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.DOTALL | re.MULTILINE)
    defined = set(re.findall(r'class (\w+)', '\n'.join(blocks(page, 'python'))))
    known = set().union(*(registry.module_dict for registry in REGISTRIES), defined, OTHERS)
    assert set(re.findall(r'`([A-Z]\w*[a-z]\w*)`', text)) - known == set()


def test_keys_of_the_config_page_are_read_somewhere():
    rows = re.findall(r'^\| (`\w+`(?:, `\w+`)*) \| ', (DOCS / 'tutorials/config.md').read_text(), re.MULTILINE)
    keys = set(re.findall(r'\w+', ' '.join(rows)))
    source = '\n'.join(path.read_text() for folder in ('mmdet', 'tools') for path in (ROOT / folder).rglob('*.py'))
    assert len(keys) > 25
    assert {key for key in keys if f"'{key}'" not in source and f'cfg.{key}' not in source} == set()


def test_schedules_of_the_runtime_page_are_accepted():
    rows = re.findall(r'^\| `(policy=.+?)` \|', (DOCS / 'tutorials/customize_runtime.md').read_text(), re.MULTILINE)
    assert len(rows) == 4
    for row in rows:
        lr_config = eval(f"dict({row}, warmup='linear', warmup_iters=500, warmup_ratio=0.001, by_epoch=False)")
        check_config(dict(lr_config=lr_config, runner=dict(type='EpochBasedRunner', max_epochs=1)))


def test_names_outside_registries_exist():
    assert mmdet.models.losses.utils.ReducedLoss and mmdet.models.roi_heads.roi_extractors.BaseRoIExtractor
