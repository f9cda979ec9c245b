import pytest
import torch
from mmcv.parallel import DataContainer as DC
from mmcv.parallel import is_module_wrapper
from torch import nn

from mmdet.utils import build_dp, get_device
from mmdet.utils.running.parallel import unpack


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x, metas=None):
        return self.layer(x), metas

    def train_step(self, data, optimizer):
        return dict(loss=self(**data)[0].sum(), num_samples=len(data['x']), optimizer=optimizer)

    val_step = train_step


def test_unpack_takes_the_first_share_and_leaves_other_values():
    boxes = [torch.zeros(2, 4), torch.zeros(0, 4)]
    data = dict(img=DC([torch.ones(2, 3)], stack=True), boxes=DC([boxes]), metas=DC([[{'a': 1}]], cpu_only=True), n=5)
    got = unpack(data, 'cpu')
    assert torch.equal(got['img'], torch.ones(2, 3)) and got['metas'] == [{'a': 1}] and got['n'] == 5
    assert [len(b) for b in got['boxes']] == [2, 0]


def test_unpack_handles_the_lists_of_a_test_batch_and_bare_tensors():
    data = dict(img=[DC([torch.ones(1)]), torch.zeros(1)], img_metas=[DC([[{}]], cpu_only=True)])
    got = unpack(data)
    assert [t.item() for t in got['img']] == [1, 0] and got['img_metas'] == [[{}]]


def test_unpack_keeps_named_tuples_and_moves_devices():
    point = __import__('collections').namedtuple('Point', 'x y')
    got = unpack(point(torch.zeros(1), 2), 'meta')
    assert isinstance(got, point) and got.x.device.type == 'meta' and got.y == 2


def test_single_device_wrapper_runs_steps_like_the_model():
    model = Toy()
    wrapped = build_dp(model, 'cpu')
    data = dict(x=DC([torch.ones(3, 2)], stack=True), metas=DC([['m']], cpu_only=True))
    assert wrapped(**data)[1] == ['m']
    for step in (wrapped.train_step, wrapped.val_step):
        out = step(data, None)
        assert out['num_samples'] == 3 and torch.equal(out['loss'], model.layer(torch.ones(3, 2)).sum())
    assert is_module_wrapper(wrapped) and wrapped.module is model


def test_several_devices_in_one_process_are_refused():
    with pytest.raises(ValueError, match='dist_train.sh'):
        build_dp(Toy(), 'cpu').__class__(Toy(), device_ids=[0, 1])
    with pytest.raises(ValueError, match="expected one of .*'tpu'"):
        build_dp(Toy(), 'tpu')


def test_get_device_names_what_is_there():
    assert get_device() == ('cuda' if torch.cuda.is_available() else 'cpu')
