import logging

import pytest
import torch
from mmcv.runner import LogBuffer
from torch import nn

from mmdet.core.hook import AmpOptimizerHook, GradientCumulativeAmpOptimizerHook
from mmdet.core.hook.amp_hook import build_grad_scaler
from mmdet.utils.running.amp import amp_dtype, enable_autocast, fast_dtype
from mmdet.utils.running.log_buffer import DeviceLogBuffer

CPU = torch.device('cpu')


class Loss(nn.Module):
    def forward(self, pred, target):
        self.seen = (pred.dtype, (pred @ target).dtype)
        return (pred - target).abs().mean()


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.loss_cls = Loss()

    def forward(self, x):
        out = self.layer(x)
        self.inside = out.dtype
        return [out]

    def loss(self, out, target):
        return self.loss_cls(out[0], target)


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(4, 4)
        self.head = Head()

    def forward(self, x, target=None, fail=False):
        feats = self.backbone(x)
        self.dtypes = (feats.dtype,)
        if fail:
            raise ZeroDivisionError
        out = self.head(feats)
        return out if target is None else self.head.loss(out, target)


def test_network_runs_in_bfloat16_and_losses_and_outputs_in_float32():
    model = Detector()
    enable_autocast(model, torch.bfloat16)
    loss = model(torch.ones(4, 4), torch.zeros(4, 4))
    assert model.dtypes == (torch.bfloat16,) and model.head.inside == torch.bfloat16
    assert model.head.loss_cls.seen == (torch.float32, torch.float32) and loss.dtype == torch.float32
    loss.backward()
    assert model.backbone.weight.grad.dtype == torch.float32
    assert model.eval()(torch.ones(1, 4))[0].dtype == torch.float32


def test_error_inside_leaves_autocast_and_the_model_usable():
    model = Detector()
    enable_autocast(model, torch.bfloat16)
    enable_autocast(model, torch.bfloat16)
    with pytest.raises(ZeroDivisionError):
        model(torch.ones(1, 4), fail=True)
    assert nn.Linear(4, 4)(torch.ones(1, 4)).dtype == torch.float32
    assert model(torch.ones(1, 4))[0].dtype == torch.float32


@pytest.mark.parametrize(
    ('text', 'dtype'),
    [
        ('flags : fpu avx512f avx512_bf16 amx_int8', torch.bfloat16),
        ('processor : 0\nflags\t\t: fpu amx_bf16', torch.bfloat16),
        ('Features : fp asimd bf16', torch.bfloat16),
        ('flags : fpu avx2 avx512f', torch.float32),
        ('model name : bf16 special', torch.float32),
        (None, torch.float32),
    ],
)
def test_auto_is_what_the_processor_is_fast_with(tmp_path, text, dtype):
    path = tmp_path / 'cpuinfo'
    if text is not None:
        path.write_text(text)
    assert fast_dtype(CPU, path) is dtype


def test_float32_changes_nothing():
    model = torch.nn.Linear(2, 2)
    enable_autocast(model, torch.float32)
    assert not hasattr(model, 'autocast_dtype') and model(torch.ones(1, 2)).dtype is torch.float32
    assert amp_dtype('auto', CPU) in (torch.float32, torch.bfloat16)


def test_float16_on_a_cpu_becomes_bfloat16_and_other_names_are_refused():
    assert amp_dtype('float16', CPU) is torch.bfloat16
    assert amp_dtype('float16', torch.device('cuda')) is torch.float16
    with pytest.raises(ValueError, match='float16.*bfloat16.*fp8'):
        amp_dtype('fp8', CPU)


@pytest.mark.parametrize(('given', 'held'), [(512.0, 512.0), (8, 8.0), ('dynamic', None), (dict(init_scale=4.0), None)])
def test_loss_scales_of_configs(given, held):
    assert build_grad_scaler(given, enabled=False)[1] == held


@pytest.mark.parametrize('wrong', ['static', None, True])
def test_wrong_loss_scale_is_reported_when_the_hook_is_built(wrong):
    with pytest.raises(ValueError, match='loss_scale'):
        AmpOptimizerHook(loss_scale=wrong)


class Runner:
    """As much of a runner as an optimizer hook sees."""

    def __init__(self, model, iters):
        self.model, self.max_iters, self.iter, self.meta = model, iters, 0, {}
        self._max_iters = iters
        self.optimizer = torch.optim.SGD(model.parameters(), 0.1)
        self.logger = logging.getLogger()

    def train(self, hook, batches):
        hook.before_run(self)
        for self.iter, batch in enumerate(batches):
            self.outputs = dict(loss=self.model(batch, torch.zeros(len(batch), 4)), num_samples=1)
            hook.after_train_iter(self)


def test_accumulated_halves_step_like_the_whole_batch():
    torch.manual_seed(0)
    halves = torch.randn(2, 4, 4)
    models = [Detector(), Detector()]
    models[1].load_state_dict(models[0].state_dict())
    Runner(models[0], 1).train(AmpOptimizerHook(dtype='bfloat16'), [halves.flatten(0, 1)[:4]])
    whole = Runner(models[1], 2)
    whole.train(GradientCumulativeAmpOptimizerHook(cumulative_iters=2, dtype='bfloat16'), [halves[0]] * 2)
    for a, b in zip(models[0].parameters(), models[1].parameters()):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize('buffer, kind', [(LogBuffer, float), (DeviceLogBuffer, torch.Tensor)])
def test_norm_of_gradients_waits_for_the_device_only_where_it_must(buffer, kind):
    runner = Runner(Detector(), 1)
    runner.log_buffer = buffer()
    runner.train(AmpOptimizerHook(grad_clip=dict(max_norm=1), dtype='bfloat16'), [torch.randn(4, 4)])
    assert isinstance(runner.log_buffer.val_history['grad_norm'][0], kind)
    runner.log_buffer.average()
    assert runner.log_buffer.output['grad_norm'] > 0


@pytest.mark.skipif(not hasattr(torch.amp, 'GradScaler'), reason='torch below 2.3 scales losses on a GPU only')
def test_loss_scale_is_read_when_a_checkpoint_is_saved_and_not_in_a_step(monkeypatch):
    hook, runner = AmpOptimizerHook(loss_scale=dict(init_scale=8.0, growth_interval=1)), Runner(Detector(), 2)
    runner.log_buffer = DeviceLogBuffer()

    def before_run(runner):
        AmpOptimizerHook.before_run(hook, runner)
        hook.loss_scaler = torch.amp.GradScaler('cpu', init_scale=8.0, growth_interval=1)

    monkeypatch.setattr(hook, 'before_run', before_run)
    runner.train(hook, [torch.randn(4, 4)] * 2)
    assert runner.meta == {}
    hook.before_save_checkpoint(runner)
    assert runner.meta['fp16']['loss_scaler']['scale'] == 32.0  # it doubled twice


def test_mmcv_names_of_fp16_hooks_mean_these():
    from mmcv.runner import HOOKS

    assert HOOKS.get('Fp16OptimizerHook') is AmpOptimizerHook
    assert HOOKS.get('GradientCumulativeFp16OptimizerHook') is GradientCumulativeAmpOptimizerHook
