"""The settings and the table of benchmarks/learning/domain_adaptation.py; its runs are too long for a test."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def experiment():
    sys.path.insert(0, str(ROOT / 'benchmarks/learning'))  # it imports what the experiments share
    yield importlib.import_module('domain_adaptation')
    sys.path.pop(0)


@pytest.mark.parametrize(
    'method, batch, target_step, parts',
    [
        ('pretraining', 8, None, None),
        ('source', 8, None, None),
        ('statistics', 16, 'MarkUnlabelled', None),
        ('image', 16, 'MarkUnlabelled', (True, False, 0.0)),
        ('both', 16, 'MarkUnlabelled', (True, True, 0.1)),
        ('oracle', 16, 'AddFieldToImgMetas', None),
    ],
)
def test_methods_differ_in_what_they_say_they_do(experiment, tmp_path, method, batch, target_step, parts):
    args = experiment.parse_args(['--work-dir', str(tmp_path), '--iters', '30', '--pretrain-iters', '50'])
    cfg = experiment.run_config(args, method)
    assert cfg.data.samples_per_gpu == batch
    assert cfg.runner.max_iters == (50 if method == 'pretraining' else 30)
    sets = cfg.data.train.datasets
    assert 'source/clean' in sets[0].img_prefix and len(sets) == (1 if target_step is None else 2)
    if target_step is not None:
        assert sets[1].pipeline[-1]['type'] == target_step and 'target/clean' in sets[1].img_prefix
    domain = cfg.model.train_cfg.get('domain')
    found = domain and (domain.image is not None, domain.instance is not None, domain.consistency_weight)
    assert found == parts
    assert 'target/val' in cfg.data.test.img_prefix


def test_table_has_means_and_deviations_and_keeps_the_rest_of_its_page(experiment, tmp_path):
    one = dict(target=0.1, target_50=0.2, source=0.3, seconds=1)
    runs = dict(source=[one, dict(one, target=0.3)], both=[dict(one, acc_domain_image=50.0, acc_domain_instance=60.0)])
    text = experiment.table(runs)
    assert '| source | 0.200 ± 0.141 | 0.200 ± 0.000 | 0.300 ± 0.000 |  |  |' in text
    assert '| both | 0.100 | 0.200 | 0.300 | 50.0 | 60.0 |' in text
    page = tmp_path / 'page.md'
    experiment.write_table('| of last time |', page)
    page.write_text(page.read_text() + 'what it means\n')
    experiment.write_table(text, page)
    assert text in page.read_text() and 'of last time' not in page.read_text() and 'what it means' in page.read_text()
    experiment.plot(runs, tmp_path / 'plot.png')
    assert (tmp_path / 'plot.png').stat().st_size > 1000
