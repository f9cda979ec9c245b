"""The table of models: written by its tool, complete, and right where the answer is known."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location('model_table', ROOT / 'tools' / 'misc' / 'model_table.py')
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)
ROWS = {line.split(']')[0][3:]: line for line in tool.PAGE.read_text().splitlines() if line.startswith('| [')}


def test_page_has_a_row_for_each_folder_with_the_number_of_its_configs():
    counts = {folder.name: len(list(folder.rglob('*.py'))) for folder in tool.model_folders()}
    assert {name: int(row.split('|')[4]) for name, row in ROWS.items()} == counts


@pytest.mark.parametrize('folder', ['fsaf', 'cascade_rpn', 'ssd'])
def test_row_on_the_page_is_what_the_tool_writes(folder):
    assert str(tool.row_of(ROOT / 'configs' / folder)) == ROWS[folder]


def test_head_that_refuses_is_named_and_one_whose_stages_compute_the_losses_is_not():
    assert ROWS['fsaf'].endswith('| FSAF | ResNeXt, ResNet | not FSAFHead |')
    assert ROWS['cascade_rpn'].endswith('`bbox_head`, `rpn_head`, negatives, classes |')
    assert not tool.refuses(dict(type='RetinaHeadWithWeightPerImage'))


def test_parts_have_the_key_that_they_stand_under():
    model = dict(type='A', head=[dict(type='B'), dict(type='C', loss=dict(type='D'))], neck=None)
    found = [(key, part['type']) for key, part in tool.parts(model)]
    assert found == [('model', 'A'), ('head', 'B'), ('head', 'C'), ('loss', 'D')]


def test_row_has_paper_use_and_the_directives_of_each_head():
    assert '[ATSS' not in ROWS['ssd'] and '[SSD](https://arxiv.org/abs/1512.02325) | small and fast' in ROWS['ssd']
    assert ROWS['mask_rcnn'].endswith('| `rpn_head`, `bbox_head`, `mask_head`, negatives, classes |')
    assert ROWS['rpn'].endswith('| `rpn_head`, negatives |')  # a first stage knows no classes


def test_every_folder_has_a_note_with_a_use():
    notes = json.loads(tool.NOTES.read_text())
    assert set(notes) == {folder.name for folder in tool.model_folders()}
    assert all(note['use'] and ('paper' in note) == ('url' in note) for note in notes.values())


def test_figures_of_drawn_shapes_are_on_the_page_or_a_dash_with_its_reason():
    entry = dict(config='rpn/rpn.py', iterations=250, AR=0.5, seconds=40.4)
    assert tool.learnt_row('rpn', entry) == '| rpn | rpn | 250 | recall 0.50 | - | 40 |'
    masks = dict(config='solo/solo.py', iterations=250, mask_AP=0.25, seconds=9.6)
    assert tool.learnt_row('solo', masks) == '| solo | solo | 250 | - | 0.250 | 10 |'
    assert tool.learnt_row('a', dict(config='a/b.py')) == '| a | b | - (not run yet) | - | - | - |'
    assert tool.learnt_row('a', dict(left_out='no data')) == '| a | - | - (no data) | - | - | - |'
    assert tool.learnt_row('a', dict(config='a/b.py', error='E: x')) == '| a | b | - (E: x) | - | - | - |'
    assert tool.PAGE.read_text().endswith(tool.LEARNT + tool.learnt_table())
    assert set(json.loads(tool.RESULTS.read_text())) == {folder.name for folder in tool.model_folders()}
