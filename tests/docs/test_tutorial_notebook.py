"""demo/tutorial.ipynb: executed with few images and one epoch, and kept without what a machine has written into it."""

import json

import nbformat
import pytest
from nbclient import NotebookClient
from pages import ROOT
from process import environment

NOTEBOOK = ROOT / 'demo/tutorial.ipynb'


def test_notebook_has_no_outputs():
    notebook = json.loads(NOTEBOOK.read_text())
    nbformat.validate(notebook)
    cells = [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']
    assert len(cells) > 8 and not any(cell['outputs'] or cell['execution_count'] for cell in cells)
    assert set(notebook['metadata']['language_info']) == {'name'}


def test_notebook_runs(tmp_path, monkeypatch):
    for name, value in environment(MPLBACKEND='Agg').items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if 'parameters' in cell.metadata.get('tags', ()))
    parameters.source = "FOLDER = 'tutorial'\nIMAGES = 8\nEPOCHS = 1"
    NotebookClient(notebook, timeout=600, resources=dict(metadata=dict(path=str(tmp_path)))).execute()
    texts = [out.get('text', '') for cell in notebook.cells if cell.cell_type == 'code' for out in cell.outputs]
    shown = [out for cell in notebook.cells if cell.cell_type == 'code' for out in cell.outputs if 'data' in out]
    assert sum('image/png' in out.data or 'image/jpeg' in out.data for out in shown) == 4
    assert '_base_ = ' in ''.join(texts) and 'report.html' in ''.join(texts)
    assert '<title>' in (tmp_path / 'tutorial/run/report.html').read_text()
    assert (tmp_path / 'tutorial/labels/page.html').exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['tutorial']


@pytest.mark.parametrize('page', ['README.md', 'docs/get_started.md', 'docs/README.md'])
def test_notebook_is_named(page):
    assert 'tutorial.ipynb' in (ROOT / page).read_text()
