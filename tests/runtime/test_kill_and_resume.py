"""Runs that were killed and resumed equal those that were left alone; ``benchmarks/kill_and_resume.py`` tries more."""

import importlib.util
import random

import pytest
from tiny import ROOT

SPEC = importlib.util.spec_from_file_location('kill_and_resume', ROOT / 'benchmarks/kill_and_resume.py')
kills = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(kills)


@pytest.mark.parametrize('name', ['persistent workers', 'iterations, workers', 'accumulation', 'averages'])
def test_killed_runs_end_with_the_same_weights_evaluations_and_best_checkpoint(tmp_path, name):
    setting = kills.Setting(name, tmp_path / 'run')
    moments = random.Random(7).sample(range(setting.calls // 4, setting.calls), 2)
    for moment in moments:
        assert setting.trial(moment) == (True, True, True), f'killed at call {moment} of {setting.calls}'


def test_kill_after_the_last_checkpoint_still_evaluates_it(tmp_path):
    setting = kills.Setting('one kept', tmp_path / 'run')
    late = range(int(0.98 * setting.calls), setting.calls, max(1, setting.calls // 100))
    assert [setting.trial(moment) for moment in late] == [(True, True, True)] * len(late)
