import importlib.util
import os
import warnings
from pathlib import Path

import pytest
import torch.distributed as dist
from mmcv import Config
from torch import nn

from mmdet.apis import train
from mmdet.apis.launch import UserError, device_of_run, reported_errors, start_processes
from mmdet.utils import util_distribution

ROOT = Path(__file__).resolve().parents[2]


def tool(name):
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / f'tools/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    path = tmp_path / 'small.py'
    path.write_text("total_epochs = 2\nmodel = dict(type='X', backbone=dict(depth=1))\ndata = dict()\n")
    return path


def prepared(config, *options):
    train = tool('train')
    return train.prepare_config(train.parse_args([str(config), *options]))


def test_options_of_training_reach_the_config(config):
    cfg = prepared(config, '--cfg-options', 'model.backbone.depth=5', 'data.x=[1,2]', '--gpu-id', '3', '--auto-resume')
    assert cfg.model.backbone.depth == 5 and cfg.data.x == [1, 2] and cfg.gpu_ids == [3] and cfg.auto_resume is True
    assert Path(cfg.work_dir) == Path('work_dirs/small')
    assert prepared(config, '--options', 'a=1').a == 1
    assert prepared(config, '--trust-checkpoint').trust_checkpoint is True


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (['--options', 'a=1', '--cfg-options', 'a=2'], 'old name of --cfg-options'),
        (['--gpus', '2'], 'dist_train.sh'),
        (['--gpu-ids', '0', '1'], 'dist_train.sh'),
        (['--resume-from', 'gone.pth'], 'no checkpoint gone.pth'),
        (['--auto-scale-lr'], 'base_batch_size'),
    ],
)
def test_training_options_that_cannot_work_are_explained(config, options, text):
    with pytest.raises(UserError, match=text):
        prepared(config, *options)


@pytest.mark.parametrize('flag', ['--local_rank', '--local-rank'])
@pytest.mark.parametrize('name', ['train', 'test'])
def test_both_spellings_of_local_rank_are_taken(config, name, flag):
    weights = ['k.pth'] if name == 'test' else []
    assert tool(name).parse_args([str(config), *weights, f'{flag}=2']).local_rank == 2


def test_missing_config_names_a_near_one(config):
    with pytest.raises(UserError, match=r'there is no config .*smal\.py; did you mean .*small\.py'):
        prepared(config.with_name('smal.py'))


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        ([], 'nothing to do: give at least one of --out, --eval'),
        (['--eval', 'bbox', '--format-only'], 'cannot be given together'),
        (['--out', 'x.json'], '.pkl'),
        (['--eval', 'bbox'], 'no checkpoint k.pth'),
        (['--show', '--launcher', 'pytorch'], 'one process only'),
    ],
)
def test_testing_options_that_cannot_work_are_explained(config, options, text):
    test = tool('test')
    with pytest.raises(UserError, match=text):
        test.check_args(test.parse_args([str(config), 'k.pth', *options]))


def test_testing_leaves_out_pretrained_weights_and_training_settings(tmp_path, config):
    test = tool('test')
    config.write_text(
        "model = dict(pretrained='x', backbone=dict(init_cfg=dict(type='P')), train_cfg=1)\ndata = dict()\n"
    )
    cfg = test.prepare_config(test.parse_args([str(config), 'k.pth', '--out', 'x.pkl']))
    assert cfg.model.pretrained is None and cfg.model.backbone.init_cfg is None and cfg.model.train_cfg is None


def test_printed_config_has_options_in_it(config, capsys):
    spec = importlib.util.spec_from_file_location('print_config', ROOT / 'tools/misc/print_config.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(config), '--cfg-options', 'model.type=Y'])
    assert "type='Y'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ('launcher', 'variable'), [('pytorch', 'RANK'), ('slurm', 'SLURM_NTASKS'), ('mpi', 'OMPI_COMM_WORLD_SIZE')]
)
def test_launcher_without_its_variables_says_which_is_missing(monkeypatch, launcher, variable):
    for name in list(os.environ):
        if name.startswith(('RANK', 'WORLD_SIZE', 'SLURM', 'OMPI')):
            monkeypatch.delenv(name)
    with pytest.raises(UserError, match=variable):
        start_processes(launcher, Config())


def test_one_process_of_mpi_joins_with_gloo_where_there_is_no_gpu(monkeypatch):
    for name in ('SIZE', 'RANK', 'LOCAL_RANK'):
        monkeypatch.setenv(f'OMPI_COMM_WORLD_{name}', '1' if name == 'SIZE' else '0')
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR'):
        monkeypatch.setenv(name, 'to be replaced' if name != 'MASTER_ADDR' else '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', '0')
    monkeypatch.setenv('OMPI_COMM_WORLD_LOCAL_SIZE', '1')
    monkeypatch.setenv('LOCAL_WORLD_SIZE', 'taken away again')
    monkeypatch.delenv('LOCAL_WORLD_SIZE')
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with reported_errors():
        assert start_processes('mpi', Config(dict(dist_params=dict(backend='nccl', timeout=60)))) is True
        assert dist.get_backend() == 'gloo' and dist.get_world_size() == 1
        assert os.environ['LOCAL_WORLD_SIZE'] == '1'
    assert not dist.is_initialized()


@pytest.mark.parametrize('gpu_id', [0, 2])
def test_gpu_id_becomes_the_current_device(monkeypatch, gpu_id):
    current = []
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 3)
    monkeypatch.setattr('torch.cuda.set_device', current.append)
    assert start_processes('none', Config(dict(gpu_ids=[gpu_id]))) is False
    assert current == [gpu_id]
    with pytest.raises(UserError, match='--gpu-id 3: there is no such GPU; this machine has 0 to 2'):
        start_processes('none', Config(dict(gpu_ids=[3])))


def test_device_of_a_config_that_is_not_used_is_told(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.warns(UserWarning, match="device='cuda' of the config is left aside, the command runs on 'cpu'"):
        assert device_of_run(Config(dict(device='cuda'))) == 'cpu'
    with pytest.raises(UserError, match="expected 'cuda' or 'cpu', got 'gpu'"):
        device_of_run(Config(dict(device='gpu')))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert device_of_run(Config(dict(device='cpu'))) == device_of_run(Config({})) == 'cpu'


def test_parameters_are_averaged_on_the_gpu_that_the_launcher_chose(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '3')  # of processes that see one GPU each
    monkeypatch.setattr('torch.cuda.current_device', lambda: 0)
    monkeypatch.setattr(nn.Module, 'cuda', lambda self, device=None: self)
    monkeypatch.setattr(util_distribution, 'StepDistributedDataParallel', lambda model, **kwargs: kwargs)
    assert train._wrap(nn.Linear(1, 1), Config(dict(device='cuda')), distributed=True)['device_ids'] == [0]


def test_a_process_leaves_its_group_after_success_only(monkeypatch):
    left = []
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(dist, 'get_world_size', lambda: 1)
    monkeypatch.setattr(dist, 'destroy_process_group', lambda: left.append('group'))
    for error in (ZeroDivisionError, UserError):
        with pytest.raises((ZeroDivisionError, SystemExit)), reported_errors():
            raise error
    assert left == []
    with reported_errors():
        pass
    assert left == ['group']


def test_user_errors_end_the_command_without_traceback(monkeypatch):
    with pytest.raises(SystemExit, match='error: wrong'), reported_errors():
        raise UserError('wrong')
    monkeypatch.setenv('MMDET_TRACEBACK', '1')
    with pytest.raises(UserError), reported_errors():
        raise UserError('wrong')
    with pytest.raises(ZeroDivisionError), reported_errors():
        raise ZeroDivisionError
