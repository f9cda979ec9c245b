"""Messages call scripts as the user did; the head of the log knows the commit of this checkout only."""

import subprocess
import sys

import pytest

from mmdet.utils.collect_env import commit_of
from mmdet.utils.tool_command import tool_command


@pytest.mark.parametrize(
    ('program', 'text'),
    [
        ('tools/train.py', 'python tools/misc/browse_dataset.py'),
        ('mmdet make-config', 'mmdet browse-dataset'),
        ('', 'python tools/misc/browse_dataset.py'),
    ],
)
def test_a_script_is_called_as_the_running_one_was(monkeypatch, program, text):
    monkeypatch.setattr(sys, 'argv', [program])
    assert tool_command('misc/browse_dataset.py') == text


def test_commit_is_that_of_the_folder_and_its_absence_is_silent(tmp_path, capfd):
    assert commit_of(tmp_path) == ''
    (tmp_path / '.git').mkdir()  # no repository
    assert commit_of(tmp_path) == ''
    (tmp_path / '.git').rmdir()
    git = ('git', '-C', str(tmp_path), '-c', 'user.name=a', '-c', 'user.email=a@example.org')
    subprocess.run([*git, 'init', '-q'], check=True)
    subprocess.run([*git, 'commit', '-q', '--allow-empty', '-m', 'x'], check=True)
    assert len(commit_of(tmp_path)) == 7
    assert capfd.readouterr() == ('', '')
