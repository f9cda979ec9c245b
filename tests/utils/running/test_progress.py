"""Bars on terminals for what takes longer than a moment."""

import io
import sys
import time

import pytest

from mmdet.apis.label_errors.suggestions import reports_of
from mmdet.datasets.api_wrappers.coco_api import COCO, TrackedCOCOeval
from mmdet.datasets.formats.coco_fields import read_fields
from mmdet.datasets.mixing.report import classes_with_objects
from mmdet.utils.running import progress
from mmdet.utils.running.progress import ticks, tracked


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Each look at the clock is a second later than the last."""
    seconds = iter(range(1000))
    monkeypatch.setattr(time, 'monotonic', lambda: next(seconds))


def test_a_bar_says_what_it_counts_and_ends_with_its_line(clock):
    terminal = Terminal()
    assert list(tracked('abcde', 'reading letters', file=terminal)) == list('abcde')
    text = terminal.getvalue()
    assert text.startswith('reading letters\n') and '2/5, 1.0 task/s, elapsed: 2s' in text
    assert '5/5' in text and text.endswith('\n')


def test_what_is_quick_has_none():
    terminal = Terminal()
    assert list(tracked(iter('abc'), 'letters', total=3, file=terminal)) == ['a', 'b', 'c']
    assert terminal.getvalue() == ''


def test_the_first_process_alone_draws(clock, monkeypatch):
    monkeypatch.setattr(progress, 'get_dist_info', lambda: (1, 2))
    terminal = Terminal()
    assert list(tracked('abcde', 'letters', file=terminal)) == list('abcde')
    assert terminal.getvalue() == ''


def test_files_stay_without(clock):
    file = io.StringIO()
    assert list(tracked('abcde', 'letters', file=file)) == list('abcde')
    assert file.getvalue() == ''


def test_an_error_in_the_loop_ends_the_line_of_the_bar(clock):
    terminal = Terminal()
    with pytest.raises(KeyError):
        for item in tracked('abcde', 'letters', file=terminal):
            if item == 'd':
                raise KeyError
    assert '2/5' in terminal.getvalue() and terminal.getvalue().endswith('\n')


def test_steps_that_are_called_back_may_be_more_than_was_said(clock):
    terminal = Terminal()
    steps = ticks('steps', 3, terminal)
    assert [next(steps) for _ in range(5)] == [0, 1, 2, 3, 4]
    steps.close()
    assert '3/3' in terminal.getvalue()


def test_evaluation_counts_images_of_all_categories_and_areas(clock, monkeypatch):
    monkeypatch.setattr(progress, 'PERIOD', 0)
    truth, found = COCO(), COCO()
    truth.dataset = dict(images=[dict(id=i) for i in range(2)], categories=[dict(id=1, name='a')], annotations=[])
    found.dataset = truth.dataset
    truth.createIndex(), found.createIndex()
    terminal, run = Terminal(), TrackedCOCOeval(truth, found, 'bbox')
    run.params.imgIds, run.params.catIds = [0, 1], [1]
    run.track('evaluating bbox', terminal)
    run.evaluate()
    assert terminal.getvalue().startswith('evaluating bbox\n') and '7/8' in terminal.getvalue()
    assert terminal.getvalue().endswith('\n')


def test_reading_a_file_and_looking_for_classes_and_errors_have_bars(clock, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, 'stdout', terminal)
    read_fields(dict(images=[dict(id=1)], annotations=[], categories=[]), 'boxes.json')
    assert 'reading the fields of boxes.json\n' in terminal.getvalue() and '16/16' in terminal.getvalue()

    class Leaf(list):
        CLASSES = ('cat', 'dog', 'cow')

        def get_ann_info(self, index):
            return dict(labels=[self[index]])

    assert classes_with_objects(Leaf([0, 0, 0, 1, 0])) == {'cat', 'dog'}
    assert 'looking for objects of each class\n' in terminal.getvalue()
    assert reports_of([], [], [], None, 0.5) == []
    monkeypatch.undo()


def test_they_are_silent_in_files(clock, capsys):
    read_fields(dict(images=[dict(id=1)], annotations=[], categories=[]), 'boxes.json')
    assert capsys.readouterr().out == ''
