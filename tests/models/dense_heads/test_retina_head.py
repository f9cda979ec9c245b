import pytest
import torch


@pytest.fixture
def head(build_head):
    focal = dict(type='FocalLoss', use_sigmoid=True)
    return build_head('RetinaHead', dict(sampler=None), num_classes=3, stacked_convs=2, loss_cls=focal)


def test_forward_gives_maps_of_every_level(head):
    scores, deltas = head([torch.rand(2, 4, 5, 6), torch.rand(2, 4, 3, 3)])
    assert [s.shape for s in scores] == [(2, 3, 5, 6), (2, 3, 3, 3)]
    assert [d.shape for d in deltas] == [(2, 4, 5, 6), (2, 4, 3, 3)]


def test_towers_are_separate(head):
    names = {name.split('.')[0] for name, _ in head.named_parameters()}
    assert names == {'cls_convs', 'reg_convs', 'retina_cls', 'retina_reg'}
    assert len(head.cls_convs) == len(head.reg_convs) == 2
    head([torch.rand(1, 4, 2, 2)])[0][0].sum().backward()
    assert all(p.grad is None for p in head.reg_convs.parameters())


def test_classes_start_at_a_probability_of_one_percent(head):
    head.init_weights()
    torch.testing.assert_close(head.retina_cls.bias.sigmoid(), torch.full((3,), 0.01))


def test_image_without_objects_has_no_box_loss_and_attached_gradients(head, meta):
    feats = [torch.rand(1, 4, 2, 2)]
    losses = head.forward_train(feats, [meta()], [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.long)])
    assert losses['loss_bbox'][0].item() == 0
    sum(losses['loss_cls'] + losses['loss_bbox']).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_normalisation_and_kind_of_convolution_are_used(build_head):
    focal = dict(type='FocalLoss', use_sigmoid=True)
    norm = dict(type='GN', num_groups=2)
    head = build_head('RetinaHead', dict(sampler=None), num_classes=1, stacked_convs=1, norm_cfg=norm, loss_cls=focal)
    assert set(head.cls_convs.state_dict()) == {'0.conv.weight', '0.gn.weight', '0.gn.bias'}
