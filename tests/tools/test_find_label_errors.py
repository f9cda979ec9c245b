"""find_label_errors.py from results to new annotation files, and mixing_report.py with its estimate."""

import importlib.util
import json
import sys

import numpy as np
import pytest
from tool_process import ROOT

sys.path.insert(0, str(ROOT / 'tests/apis/label_errors'))
from incomplete_shapes import detect, draw, without, write_config  # noqa: E402

from mmdet.apis.launch import UserError  # noqa: E402
from mmdet.utils.plain_data import dump_plain  # noqa: E402


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Config of a source with half of its boxes and a complete one, and results for both."""
    folder = tmp_path_factory.mktemp('find')
    complete = draw(folder, dict(half=60, whole=40))
    left, _ = without(complete['half'], {1: 0.5, 2: 0.5, 3: 0.5}, 1)
    results = folder / 'results.npz'
    dump_plain(detect(complete['half'], 3) + detect(complete['whole'], 4), results)
    return write_config(folder, dict(complete, half=left)), results


def tool(name):
    """A script of tools/analysis_tools as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f'tools/analysis_tools/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *arguments):
    """Run a script with these arguments."""
    tool(name).main([str(argument) for argument in arguments])


def test_results_lead_to_rates_directives_and_new_files(data, tmp_path, capsys):
    config, results = data
    options = ('--work-dir', tmp_path, '--apply', 'directives', 'missing', '--min-probability', 0.6, '--crops', 5)
    before = (config.parent / 'half.json').read_bytes()
    run('find_label_errors', config, results, *options)
    text = capsys.readouterr().out
    assert 'of the objects are not annotated' in text and "values=['overlap']" in text
    assert (config.parent / 'half.json').read_bytes() == before
    rows = json.loads((tmp_path / 'missing_rates.json').read_text())['missing_rates']
    rates = {row['source']: row['rate'] for row in rows if row['category'] is None}
    assert abs(rates['half'] - 0.5) < 0.1 and rates['whole'] < 0.1
    content = json.loads((tmp_path / 'annotations_half.json').read_text())
    assert len(content['annotations']) > len(json.loads(before)['annotations'])
    assert content['images'][0]['negatives'] == 'overlap'
    assert (tmp_path / 'page.html').read_text().count('<img') == 5

    report = ('mixing_report', config, '--missing-rates', tmp_path / 'missing_rates.json')
    run(*report)
    text = capsys.readouterr().out
    assert f'ADVICE half: {rates["half"]:.0%} of the objects are not annotated' in text
    assert f'ADVICE whole: {rates["whole"]:.0%} of the objects are not annotated' in text
    with pytest.raises(UserError, match="has rates of 'half', but the sources of the config are third, whole"):
        run(*report, '--cfg-options', 'data.train.datasets.0.name=third')


def test_wrong_options_are_refused(data, tmp_path, capsys):
    config, results = data
    few = tmp_path / 'few.npz'
    dump_plain([[np.zeros((0, 5))] * 3], few)
    cases = {
        (results, 'a.pth'): 'checkpoints and results were given together',
        ('a.pth', 'b.pth', '--folds', 3): '--folds 3, but 2 checkpoints were given',
        ('--folds', 1): '--folds: expected 2 to 100',
        (few,): '1 results for the 60 images of half',
    }
    for options, message in cases.items():
        with pytest.raises(UserError, match=message):
            run('find_label_errors', config, *options, '--work-dir', tmp_path / 'work')
    with pytest.raises(SystemExit):
        run('find_label_errors', config, results, '--crops', -1)
    with pytest.raises(SystemExit):
        run('mixing_report', config, '--processes', 0)
    text = capsys.readouterr().err
    assert '--crops: expected 0 or more, got -1' in text and '--processes: expected 1 or more, got 0' in text
    with pytest.raises(UserError, match='few.npz holds no missing rates'):
        run('mixing_report', config, '--missing-rates', few)
