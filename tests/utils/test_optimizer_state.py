import pytest
import torch
from torch import nn

from mmdet.utils.checkpoints.optimizer_state import check_same_kind, fit_optimizer_state


class Net(nn.Module):
    def __init__(self, unused):
        super().__init__()
        self.first = nn.Linear(2, 2, bias=False)
        if unused:
            self.rpn_my_cls = nn.Linear(2, 1)
        self.norm = nn.BatchNorm1d(2)
        self.last = nn.Linear(2, 3, bias=False)


def trained(unused, groups=False):
    net = Net(unused)
    params = [dict(params=[p]) for p in net.parameters()] if groups else net.parameters()
    optimizer = torch.optim.SGD(params, 0.1, momentum=0.9)
    sum((p**2).sum() for p in net.parameters()).backward()
    optimizer.step()
    return net, optimizer


@pytest.mark.parametrize('groups', [False, True])
def test_state_of_a_model_with_an_unused_layer_fits_the_model_without(groups):
    old, old_optimizer = trained(True, groups)
    new, new_optimizer = trained(False, groups)
    state = fit_optimizer_state(old_optimizer.state_dict(), old.state_dict(), new, new_optimizer)
    new_optimizer.load_state_dict(state)
    for name in ('first', 'norm', 'last'):
        got = new_optimizer.state[getattr(new, name).weight]['momentum_buffer']
        assert torch.equal(got, old_optimizer.state[getattr(old, name).weight]['momentum_buffer'])


def test_fitting_state_is_given_back_as_it_is():
    net, optimizer = trained(False)
    saved = optimizer.state_dict()
    assert fit_optimizer_state(saved, net.state_dict(), net, optimizer) is saved


def test_state_that_lacks_parameters_says_to_load_weights_only():
    small, small_optimizer = trained(False)
    big, big_optimizer = trained(True)
    with pytest.raises(ValueError, match='load_from instead of resume_from'):
        fit_optimizer_state(small_optimizer.state_dict(), small.state_dict(), big, big_optimizer)


def test_state_of_another_kind_of_optimizer_is_refused():
    net, sgd = trained(False)
    adam = torch.optim.AdamW(net.parameters())
    check_same_kind(torch.optim.SGD(net.parameters(), 0.5).state_dict(), sgd)
    with pytest.raises(ValueError, match='it lacks dampening, momentum, nesterov, which SGD has'):
        check_same_kind(adam.state_dict(), sgd)
    with pytest.raises(ValueError, match='it lacks amsgrad, betas, eps, which AdamW has'):
        check_same_kind(sgd.state_dict(), adam)
