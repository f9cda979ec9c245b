import os
import subprocess

import pytest
from ddp_worker import check_everything
from tiny import ROOT, write_config
from two_processes import run_two


def test_process_without_anything_to_learn_neither_hangs_nor_differs(tiny_data, tmp_path):
    ends = run_two(check_everything, tmp_path, str(write_config(tiny_data)), timeout=300)
    assert [code for code, _ in ends] == [0, 0], ends


@pytest.mark.parametrize(
    ('script', 'args', 'tool'),
    [('dist_train.sh', ['c.py'], 'train.py c.py'), ('dist_test.sh', ['c.py', 'k.pth'], 'test.py c.py k.pth')],
)
def test_shell_scripts_hand_everything_to_torchrun(script, args, tool):
    env = {
        **os.environ,
        'PYTHON': 'echo',
        'NNODES': '2',
        'NODE_RANK': '1',
        'MASTER_ADDR': 'host',
        'PORT': '5',
        'MAX_RESTARTS': '3',
    }
    command = ['bash', str(ROOT / 'tools' / script), *args, '4', '--seed', '1']
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()
    assert said.startswith('-m torch.distributed.run --nnodes=2 --node_rank=1 --master_addr=host --master_port=5')
    assert '--nproc_per_node=4' in said and said.endswith(f'{tool} --launcher pytorch --seed 1')
    assert ('--max-restarts=3' in said) == (script == 'dist_train.sh')
    missing = subprocess.run(command[:3], capture_output=True, text=True)
    assert missing.returncode == 2 and 'usage' in missing.stderr
