"""Every option of docs/performance.md in two processes: of the model by steps of its own, of the data by the tool."""

import json
import re

from ddp_options_worker import OPTIONS, check_options
from process import python_pair
from tiny import ROOT, write_config
from two_processes import run_two

from mmdet.models.options import acceleration

OPTIONS_OF_THE_RUN = {
    'data.pin_memory': 'True',
    'data.persistent_workers': 'True',
    'data.train.cache_images': '1MB',
    'data.train.share_annotations': 'True',
    'evaluation.backend': 'numpy',
}


def test_every_option_of_the_page_is_tested_here():
    page = (ROOT / 'docs/performance.md').read_text()
    rows = page[page.index('## To be switched on') : page.index('## Loading images')]
    keys = re.findall(r'^\| `([\w.]+)=', rows, flags=re.MULTILINE)
    assert {key.removeprefix('model.') for key in keys if key.startswith('model.')} == set(acceleration.OPTIONS)
    assert set(OPTIONS) == {*acceleration.OPTIONS, 'all'}
    of_the_run = {key for key in keys if not key.startswith('model.')}
    assert of_the_run == {'evaluation' if key.startswith('eval') else key for key in OPTIONS_OF_THE_RUN}


def test_model_options_train_alike_in_both_processes(tiny_data, tmp_path):
    ends = run_two(check_options, tmp_path, str(write_config(tiny_data)), timeout=300)
    assert [code for code, _ in ends] == [0, 0], ends


def test_options_of_the_run_together_with_those_of_the_model(tiny_data, tmp_path):
    changes = [f'{key}={value}' for key, value in OPTIONS_OF_THE_RUN.items()]
    changes += ['model.channels_last=True', 'model.fold_norm=True', 'model.fixed_size=True', 'data.workers_per_gpu=1']
    changes += ['runner.max_epochs=1', 'data.samples_per_gpu=2', 'evaluation.loss=True']
    python_pair(
        *('tools/train.py', write_config(tiny_data)),
        *('--work-dir', tmp_path, '--launcher', 'pytorch', '--seed', '0', '--cfg-options', *changes),
    )
    (log,) = tmp_path.glob('*.log.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row['mode'] for row in rows if 'mode' in row] == ['train', 'train', 'val']
    assert 'bbox_mAP' in rows[-1] and 0 < rows[-1]['loss_val'] < 10
    texts = next(path.read_text() for path in tmp_path.glob('*.log'))
    assert '8 of 8 images, decoded, at most 98.3 kB of 500.0 kB' in texts  # half of it for each process
