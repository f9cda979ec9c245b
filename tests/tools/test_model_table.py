"""The table of models: written by its tool, complete, and right where the answer is known."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location('model_table', ROOT / 'tools' / 'misc' / 'model_table.py')
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)
ROWS = {line.split(']')[0][3:]: line for line in tool.PAGE.read_text().splitlines() if line.startswith('| [')}


def test_page_has_a_row_for_each_folder_with_the_number_of_its_configs():
    counts = {folder.name: len(list(folder.rglob('*.py'))) for folder in tool.model_folders()}
    assert {name: int(row.split('|')[2]) for name, row in ROWS.items()} == counts


@pytest.mark.parametrize('folder', ['fsaf', 'cascade_rpn', 'ssd'])
def test_row_on_the_page_is_what_the_tool_writes(folder):
    assert str(tool.row_of(ROOT / 'configs' / folder)) == ROWS[folder]


def test_head_that_refuses_is_named_and_one_whose_stages_compute_the_losses_is_not():
    assert ROWS['fsaf'].endswith('| FSAF | ResNeXt, ResNet | all but FSAFHead |')
    assert ROWS['cascade_rpn'].endswith('| all |')
    assert not tool.refuses(dict(type='RetinaHeadWithWeightPerImage'))


def test_parts_have_the_key_that_they_stand_under():
    model = dict(type='A', head=[dict(type='B'), dict(type='C', loss=dict(type='D'))], neck=None)
    found = [(key, part['type']) for key, part in tool.parts(model)]
    assert found == [('model', 'A'), ('head', 'B'), ('head', 'C'), ('loss', 'D')]
