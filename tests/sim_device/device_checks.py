"""What the simulated device must do itself; ``test_sim_device.py`` runs these in a process of their own."""

import copy
import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

sys.path.insert(0, str(Path(__file__).parent))
from sim_cuda import passing_for_cuda
from sim_syncs import count_syncs
from torch import nn


@pytest.fixture
def a():
    return torch.arange(12.0).view(3, 4).to('sim') - 5


@pytest.mark.parametrize(
    'mix',
    [
        lambda a, b: a + b,
        lambda a, b: b + a,
        lambda a, b: torch.cat([a, b]),
        lambda a, b: a @ b.T,
        lambda a, b: b[a[:, 0] > 0],
        lambda a, b: b.add_(a),
        lambda a, b: torch.where(a > 0, a, b),
        lambda a, b: a.gather(1, torch.zeros(3, 1, dtype=torch.long)),
        lambda a, b: torch.ones(3) * a[0, 0],
        lambda a, b: nn.functional.linear(a, b),
        lambda a, b: a.index_select(0, torch.tensor([0])),
        lambda a, b: a.index_put_((torch.tensor([0]),), b[:1]),
        lambda a, b: torchvision.ops.nms(a, b[:, 0], 0.5),
        lambda a, b: np.asarray(a),
    ],
)
def test_mixed_devices_are_refused(a, mix):
    with pytest.raises((RuntimeError, TypeError)):
        mix(a, torch.ones(3, 4))


def test_what_cuda_lets_pass_passes(a):
    assert (a * torch.tensor(2.0)).device.type == 'sim'
    assert torch.where(a > 0, a, torch.tensor(0.0)).device.type == 'sim'
    assert a[torch.tensor([0, 1])].tolist() == [[-5, -4, -3, -2], [-1, 0, 1, 2]]
    on_cpu = torch.zeros(3, 4)
    on_cpu.copy_(a)
    assert torch.equal(on_cpu, a.cpu())


@pytest.mark.parametrize(
    'call, kinds',
    [
        (lambda a: a.sum().item(), {'item': 1}),
        (lambda a: bool(a[0, 0] > 0), {'item': 1}),
        (lambda a: a.tolist(), {'tolist': 1}),
        (lambda a: torch.where(a > 0), {'nonzero': 1}),
        (lambda a: a[a > 0], {'mask as index': 1}),
        (lambda a: a.cpu(), {'copy to host': 1}),
        (lambda a: a.unique(), {'unique': 1}),
        (lambda a: a.masked_select(a > 0), {'masked_select': 1}),
        (lambda a: torch.tensor([1, 2], device='sim'), {'copy from host': 1}),
        (lambda a: torch.zeros(3).to('sim', non_blocking=True), {}),
        (lambda a: a.new_tensor([1, 2]), {'copy from host': 1}),
        (lambda a: a.new_full((2,), 1.0), {}),
        (lambda a: a[0, 1:2], {}),
        (lambda a: a.__setitem__(a > 0, 0.0), {}),
        (lambda a: a.__setitem__(a > 0, a.sum()), {'assignment by mask': 1}),
        (lambda a: torch.split(a, [1, 2]), {}),
        (lambda a: torch.arange(3, device='sim'), {}),
        (
            lambda a: torch.repeat_interleave(
                a, torch.tensor([1, 2, 3]).to('sim', non_blocking=True), 0, output_size=6
            ),
            {},
        ),
    ],
)
def test_synchronisations_are_counted(a, call, kinds):
    with count_syncs() as syncs:
        call(a)
    assert syncs.kinds() == kinds


def test_training_gives_the_numbers_of_the_cpu():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    other = copy.deepcopy(plain).to('sim')
    assert all(p.device.type == 'sim' and isinstance(p, nn.Parameter) for p in copy.deepcopy(other).parameters())
    images = torch.randn(2, 3, 8, 8)
    for model, given in ((plain, images), (other, images.to('sim'))):
        optimizer = torch.optim.AdamW(model.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            model(given).pow(2).mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    for (name, one), two in zip(plain.state_dict().items(), other.state_dict().values()):
        assert torch.equal(one, two.cpu()), name
    file = io.BytesIO()
    torch.save({key: value.cpu() for key, value in other.state_dict().items()}, file)
    file.seek(0)
    plain.load_state_dict(torch.load(file, weights_only=True))


def test_operators_of_torchvision():
    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30.0]])
    assert torchvision.ops.nms(boxes.to('sim'), torch.tensor([0.9, 0.8, 0.7]).to('sim'), 0.5).tolist() == [0, 2]
    rois = torch.cat([torch.zeros(3, 1), boxes / 2], 1)
    maps = torch.randn(1, 4, 16, 16)
    grads = []
    for given, at in ((maps.clone(), rois), (maps.to('sim'), rois.to('sim'))):
        given.requires_grad_()
        torchvision.ops.roi_align(given, at, 3).sum().backward()
        grads.append(given.grad.cpu())
    assert torch.equal(*grads)


def test_autocast_casts_as_on_cuda():
    conv, images = nn.Conv2d(3, 4, 3).to('sim'), torch.randn(1, 3, 8, 8).to('sim')
    with torch.autocast('sim', torch.bfloat16):
        out = conv(images)
        assert out.dtype == torch.bfloat16 and out.exp().dtype == torch.float32
        assert torch.cat([out, out.float()]).dtype == torch.float32
        with torch.autocast('sim', enabled=False):
            assert conv(images).dtype == torch.float32
        with pytest.raises(RuntimeError, match='unsafe to autocast'):
            nn.functional.binary_cross_entropy(out.sigmoid(), out.sigmoid())
    out.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32


def test_it_passes_for_cuda():
    with passing_for_cuda():
        conv = nn.Conv2d(3, 4, 3).cuda()
        out = conv(torch.randn(1, 3, 8, 8, device='cuda'))
        assert out.is_cuda and out.device == torch.device('cuda:0') and out.new_zeros(3).is_cuda
        assert torch.zeros(3, device=out.device).is_cuda and out.cpu().device.type == 'cpu'
        with pytest.raises(RuntimeError, match='same device'):
            out + torch.zeros(4, 6, 6)
        scaler, optimizer = torch.amp.GradScaler('cuda', init_scale=8.0), torch.optim.SGD(conv.parameters(), 0.1)
        with torch.autocast('cuda', torch.float16):
            loss = conv(torch.randn(1, 3, 8, 8, device='cuda')).float().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        assert scaler.state_dict()['_growth_tracker'] == 1
    assert not torch.cuda.is_initialized()


if __name__ == '__main__':
    sys.exit(pytest.main(['-p', 'no:cacheprovider', __file__]))
