import math

import pytest
import torch

from mmdet.models.builder import build_loss

LOG2 = math.log(2)


def test_ghmc_evens_out_the_bins():
    # lengths 0.5, 0.5, 0.5 and 1/4: bins [0.4, 0.6) and [0.2, 0.4), weights 4/3/2 and 4/1/2
    logits = torch.tensor([[0.0], [0.0], [0.0], [math.log(3)]])
    loss = build_loss(dict(type='GHMC', bins=5))
    out = loss(logits, torch.ones(4, 1), torch.ones(4, 1))
    assert out.item() == pytest.approx((2 * LOG2 + 2 * math.log(4 / 3)) / 4, rel=1e-5)


def test_ghmc_momentum_remembers_counts_of_filled_bins():
    loss = build_loss(dict(type='GHMC', bins=2, momentum=0.5))
    loss(torch.full((4, 1), -1.0), torch.ones(4, 1), torch.ones(4, 1))  # lengths above 1/2
    assert loss.acc_sum.tolist() == [0, 2]
    loss(torch.full((4, 1), 1.0), torch.ones(4, 1), torch.tensor([[1.0], [1], [0], [0]]))
    assert loss.acc_sum.tolist() == [1, 2]


def test_ghmr_by_hand():
    # mu 3, differences 4 and 0: sqrt(25) - 3 = 2 and 0, lengths 0.8 and 0 in different bins of one element each
    loss = build_loss(dict(type='GHMR', mu=3.0, bins=10))
    out = loss(torch.tensor([[4.0, 0.0]]), torch.zeros(1, 2), torch.ones(1, 2))
    assert out.item() == pytest.approx((2.0 * 2 / 1 / 2) / 2, rel=1e-5)


def test_ghmc_in_a_single_bin_is_the_plain_mean_and_sums_without_a_divisor():
    loss = build_loss(dict(type='GHMC', bins=5))
    given = (torch.zeros(4, 2), torch.ones(4, 2), torch.ones(4, 2))
    assert loss(*given).item() == pytest.approx(LOG2, rel=1e-5)
    assert loss(*given, reduction_override='sum').item() == pytest.approx(8 * LOG2, rel=1e-5)


def test_ghmr_elements_without_weight_fill_no_bin():
    loss = build_loss(dict(type='GHMR', mu=3.0, bins=10))
    out = loss(torch.tensor([[4.0, 0.0]]), torch.zeros(1, 2), torch.tensor([[1.0, 0]]))
    assert out.item() == pytest.approx(2, rel=1e-5)


def test_edges_are_those_of_public_checkpoints():
    ends = [build_loss(dict(type=kind, bins=4)).state_dict()['edges'][[0, 1, -1]].tolist() for kind in ('GHMC', 'GHMR')]
    assert ends == [[0, 0.25, pytest.approx(1 + 1e-6, abs=2e-7)], [0, 0.25, 1000]] and ends[0][2] > 1


def test_sums_of_a_single_element_have_the_weight_of_one():
    logits, only_first = torch.zeros(1, 2), torch.tensor([[1.0, 0]])
    ghmc = build_loss(dict(type='GHMC', bins=5))
    assert ghmc(logits, torch.ones(1, 2), only_first, reduction_override='sum').item() == pytest.approx(LOG2, rel=1e-5)
    ghmr = build_loss(dict(type='GHMR', mu=3.0, bins=10))
    given = (torch.tensor([[4.0, 0.0]]), torch.zeros(1, 2))
    assert ghmr(*given, only_first, reduction_override='sum').item() == pytest.approx(2, rel=1e-5)
    # weights below 1 in all count as 1
    assert ghmr(*given, only_first / 2, reduction_override='sum').item() == pytest.approx(2, rel=1e-5)


def test_defaults_of_the_published_configs():
    ghmc, ghmr = build_loss(dict(type='GHMC')), build_loss(dict(type='GHMR'))
    assert (ghmc.bins, ghmc.momentum, ghmc.loss_weight) == (ghmr.bins, ghmr.momentum, ghmr.loss_weight) == (10, 0, 1)
    assert ghmr.mu == 0.02 and not hasattr(ghmc, 'acc_sum')


def test_ghmc_takes_classes_and_leaves_out_what_has_no_weight():
    # class 1 of two, background (2), and a row without weight: logits of 0 but for one of -log 3 that should be 1
    logits = torch.tensor([[0.0, -math.log(3)], [0, 0], [9, 9]])
    out = build_loss(dict(type='GHMC', bins=5))(logits, torch.tensor([1, 2, 0]), torch.tensor([1.0, 1, 0]))
    # lengths 1/2 three times and 3/4 once: weights 4/3/2 and 4/1/2
    assert out.item() == pytest.approx((3 * 2 / 3 * LOG2 + 2 * math.log(4)) / 4, rel=1e-5)


def test_ghmr_lengths_are_fractions():
    # mu 3, differences 4, 4 and 9/4: losses 2, 2 and 3/4, lengths 0.8, 0.8 and 0.6 in different quarters
    out = build_loss(dict(type='GHMR', mu=3.0, bins=4))(
        torch.tensor([[4.0, -4.0, 2.25]]), torch.zeros(1, 3), torch.ones(1, 3)
    )
    assert out.item() == pytest.approx((2 * 2 * 3 / 2 / 2 + 0.75 * 3 / 1 / 2) / 3, rel=1e-5)


def test_a_broken_prediction_gives_a_loss_that_is_seen():
    loss = build_loss(dict(type='GHMC', bins=5))
    assert loss(torch.tensor([[float('nan')], [0.0]]), torch.ones(2, 1), torch.ones(2, 1)).isnan()
