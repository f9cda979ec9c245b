"""A wrong config ends ``tools/train.py`` before anything is read, with lines that a person can use."""

from process import python
from tiny import ROOT, write_config

EXTRA = """
custom_imports = dict(imports=['wrong_parts.first'])
model.update(neck=dict(type='MyNeck', in_channels=[8, 16, 32, 64], out_channels=16, num_outs=5, _delete_=True))
"""


def test_training_with_a_wrong_config_tells_place_cause_and_cure(tmp_path):
    parts = tmp_path / 'wrong_parts'
    parts.mkdir()
    (parts / '__init__.py').write_text('')
    (parts / 'first.py').write_text('')
    (parts / 'neck.py').write_text('class MyNeck: pass\n')
    config = write_config(tmp_path, EXTRA)
    done = python(
        'tools/train.py', config, '--work-dir', tmp_path / 'work', check=False, PYTHONPATH=f'{ROOT}:{tmp_path}'
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("error: model.neck: 'MyNeck' is not in the models registry")
    assert str(parts / 'neck.py') in last and "custom_imports=dict(imports=['wrong_parts.neck'])" in last
    assert 'Traceback' not in done.stderr
    assert not list((tmp_path / 'work').glob('*.pth'))
