"""Tables in the place of long lines."""

import json
import logging

import pytest
from mmcv.runner import HOOKS

from mmdet.core.hook.text_logger_hook import TextLoggerHook, parts_table


class Runner:
    """What the hook needs of a runner that logs each of three iterations."""

    rank, world_size, max_iters, inner_iter, epoch, meta = 0, 1, 3, 0, 0, None

    def __init__(self):
        self.logger, self.data_loader, self.iter = logging.getLogger('tables'), [0, 0, 0], 0


def test_the_name_in_configs_is_ours():
    assert isinstance(HOOKS.build(dict(type='TextLoggerHook', interval=5, by_epoch=False)), TextLoggerHook)
    with pytest.raises(ValueError, match='table_interval: expected'):
        TextLoggerHook(table_interval=0)


def test_table_has_a_line_for_each_quantity_and_means_of_its_parts():
    rows = [{'loss/a': 1.0, 'loss/b': 2.0, 'pos/a': 3.0}, {'loss/a': 2.0, 'loss/b': 4.0}]
    assert parts_table(rows).splitlines() == [
        '+------+-----+---+',
        '|      | a   | b |',
        '+------+-----+---+',
        '| loss | 1.5 | 3 |',
        '| pos  | 3   | - |',
        '+------+-----+---+',
    ]


def test_parts_are_in_a_table_every_few_lines_and_in_each_line_of_the_json_log(tmp_path, caplog):
    hook, runner = TextLoggerHook(table_interval=2), Runner()
    hook.json_log_path, hook.time_sec_tot, hook.start_iter = tmp_path / 'log.json', 0, 0
    with caplog.at_level(logging.INFO):
        for runner.iter in range(3):
            line = {'mode': 'train', 'epoch': 1, 'iter': runner.iter + 1, 'lr': 0.1, 'loss': 2.0, 'loss/a': runner.iter}
            hook._log_info(line, runner)
            hook._dump_log(line, runner)
        hook.after_run(runner)
    first, second, table, third, rest = caplog.messages
    assert first == 'Epoch [1][1/3]\tlr: 1.000e-01, loss: 2.0000' and second.startswith('Epoch [1][2/3]')
    assert table.startswith('by source, means of the last 2 lines:\n') and '| loss | 0.5 |' in table
    assert third.startswith('Epoch [1][3/3]') and '| loss | 2 |' in rest
    lines = [json.loads(line) for line in (tmp_path / 'log.json').read_text().splitlines()]
    assert [line['loss/a'] for line in lines] == [0, 1, 2]
