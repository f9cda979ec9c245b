import pytest
import torch

from mmdet.models.plugins.dropblock import DropBlock


def test_dropblock_does_nothing_outside_of_training():
    x = torch.rand(1, 2, 8, 8)
    assert DropBlock(0.5, 3).eval()(x) is x


def test_dropped_cells_form_squares_and_the_mean_stays():
    torch.manual_seed(0)
    layer = DropBlock(0.1, 3, warmup_iters=0).train()
    out = layer(torch.ones(8, 16, 32, 32))
    dropped = (out == 0).float()
    eroded = -torch.nn.functional.max_pool2d(-dropped, 3, stride=1)  # 1 where a whole square is dropped
    covered = torch.nn.functional.max_pool2d(torch.nn.functional.pad(eroded, [2] * 4), 3, stride=1)
    assert torch.equal(covered, dropped)
    assert out.mean().item() == pytest.approx(1, abs=1e-4)
    assert dropped.mean().item() == pytest.approx(0.1, abs=0.015)


def test_share_rises_in_the_warm_up_and_no_key_is_saved():
    layer = DropBlock(0.2, 1, warmup_iters=4).train()
    shares = []
    for _ in range(5):
        layer(torch.rand(1, 1, 4, 4))
        shares.append(layer._compute_gamma((4, 4)).item())
    assert shares == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2])
    assert layer.state_dict() == {}


@pytest.mark.parametrize('kwargs', [dict(block_size=2), dict(drop_prob=1.5), dict(warmup_iters=-1)])
def test_settings_out_of_range_are_refused(kwargs):
    with pytest.raises(ValueError, match='expected an odd block_size'):
        DropBlock(**{'drop_prob': 0.1, 'block_size': 3, **kwargs})


def test_everything_is_dropped_at_probability_one():
    layer = DropBlock(1.0, 11, warmup_iters=0).train()
    assert torch.equal(layer(torch.ones(1, 2, 11, 11)), torch.zeros(1, 2, 11, 11))


@pytest.mark.parametrize('settings', [(0.5, 4), (0.5, -1), (0.0, 3), (1.1, 3)])
def test_impossible_blocks_are_refused(settings):
    with pytest.raises(ValueError, match='odd block_size, drop_prob in'):
        DropBlock(*settings)
