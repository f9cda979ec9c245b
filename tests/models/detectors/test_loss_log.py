import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmdet.models.detectors.loss_log import parse_losses


def test_parse_losses_adds_the_means_of_what_has_loss_in_its_name():
    weight = torch.tensor([1.0, 3.0], requires_grad=True)
    losses = dict(
        loss_cls=weight,  # mean 2
        loss_bbox=[weight * 2, weight.sum()],  # 4 + 4
        aux_loss=torch.tensor(0.5),
        acc=torch.tensor([90.0]),
    )
    total, log = parse_losses(losses)
    assert total.item() == 10.5
    assert list(log.items()) == [('loss_cls', 2), ('loss_bbox', 8), ('aux_loss', 0.5), ('acc', 90), ('loss', 10.5)]
    total.backward()
    assert weight.grad.tolist() == [2.5, 2.5]


def test_parse_losses_sums_the_means_of_nested_lists():
    nested = [[torch.tensor([1.0, 3]), torch.tensor(4.0)], [torch.tensor([[5.0]])], torch.tensor(0.5)]
    total, log = parse_losses(dict(loss_deep=nested))
    assert total.item() == log['loss_deep'] == 2 + 4 + 5 + 0.5
    with pytest.raises(TypeError, match='or of such lists'):
        parse_losses(dict(loss_deep=[[torch.tensor(1.0)], []]))


def test_parse_losses_logs_half_precision_as_float():
    _, log = parse_losses(dict(loss=torch.tensor(0.5, dtype=torch.bfloat16), acc=torch.tensor(1)))
    assert log == dict(loss=0.5, acc=1.0)


@pytest.mark.parametrize('value', [1.0, [], [1.0], None])
def test_parse_losses_refuses_other_values(value):
    with pytest.raises(TypeError, match=r"losses\['loss_cls'\]: expected a tensor or a list of tensors"):
        parse_losses(dict(loss_cls=value))


def test_parse_losses_without_any_loss_says_so():
    with pytest.raises(ValueError, match=r"none of \['acc'\] has 'loss' in its name"):
        parse_losses(dict(acc=torch.tensor(1.0)))


def _rank(rank, folder):
    dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    values = dict(loss_a=torch.tensor(1.0 + rank), loss_b=torch.tensor(10.0 * rank))
    if rank:  # the order of the names does not matter
        values = dict(reversed(values.items()))
    total, log = parse_losses(values)
    assert total.item() == (1, 12)[rank], 'the loss that is differentiated stays the own one'
    assert log == dict(loss_a=1.5, loss_b=5, loss=6.5)
    with pytest.raises(ValueError, match=r"not on all ranks: \{1: \['loss_only'\]\}"):
        parse_losses(values | dict(loss_only=torch.tensor(0.0)) if rank else values)
    dist.destroy_process_group()


def test_parse_losses_of_two_processes_are_means_and_other_names_an_error(tmp_path):
    mp.start_processes(_rank, (str(tmp_path),), nprocs=2, start_method='fork')  # no second import: quick
