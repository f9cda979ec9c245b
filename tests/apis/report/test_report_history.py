"""What a work folder says of its training."""

import json

import pytest

from mmdet.apis.report.history import duration, joined_rows, read_history


def write_log(path, rows):
    path.write_text('\n'.join(map(json.dumps, rows)))


def train(epoch, iteration, **values):
    return dict(mode='train', epoch=epoch, iter=iteration, **values)


def test_history_of_the_made_run_has_one_axis_of_iterations(made):
    history = read_history(made / 'run')
    assert [one.name for one in history.losses] == ['loss_cls', 'loss_bbox', 'loss']
    assert {one.name for one in history.source_losses} == {
        *('loss_cls/zoo', 'loss_cls/park', 'loss_bbox/zoo', 'loss_bbox/park')
    }
    assert history.losses[2].xs == [20, 40, 60, 80, 100, 120]
    assert [(one.name, one.xs) for one in history.figures] == [
        ('zoo_bbox_mAP', [40, 80, 120]),
        ('zoo_bbox_mAP_50', [40, 80, 120]),  # AP75 is -1 everywhere: it does not exist
    ]
    assert history.facts['length'] == '3 epochs, 120 iterations as logged'
    assert history.facts['time'] == '30 s of training, 0.250 s an iteration'
    assert history.facts['waiting for data'] == '20 % of the time'
    assert history.facts['memory'] == '812 MiB of the GPU at most'
    assert history.facts['last checkpoint'].startswith('latest.pth (1.0 MiB')


def test_history_of_a_run_by_iterations_puts_validation_where_training_was(tmp_path):
    rows = [train(1, 50, loss=1.0), dict(mode='val', epoch=1, iter=9, mAP=0.5), train(1, 100, loss=float('nan'))]
    write_log(tmp_path / 'a.log.json', rows)
    history = read_history(tmp_path)
    assert history.figures[0].xs == [50] and history.losses[0].xs == [50]
    assert history.facts['memory'] == 'not measured: no GPU'


def test_history_of_a_resumed_run_is_one(tmp_path):
    first = [train(1, 10), dict(mode='val', epoch=1, iter=3), train(2, 10), train(3, 10)]
    later = [train(3, 10), train(4, 10)]
    assert joined_rows([first, later]) == [*first[:3], *later]
    assert joined_rows([first, []]) == first
    assert joined_rows([first, [train(1, 10)]]) == [train(1, 10)]  # begun anew


def test_history_without_a_log_says_so(tmp_path):
    history = read_history(tmp_path)
    assert history.losses == [] and history.facts == {'log': 'none'}


@pytest.mark.parametrize(('seconds', 'text'), [(12.2, '12 s'), (200, '3 min 20 s'), (3900, '1 h 05 min')])
def test_duration_is_readable(seconds, text):
    assert duration(seconds) == text
