import math

import pytest
import torch

from mmdet.models.builder import build_loss

LOG2 = math.log(2)


def test_seesaw_mitigates_rare_and_compensates_high_wrong_classes():
    loss = build_loss(dict(type='SeesawLoss', num_classes=2, p=1.0, q=0.0, reduction='sum'))
    loss.cum_samples.copy_(torch.tensor([7.0, 2.0, 0.0]))
    logits = torch.zeros(1, 4)
    out = loss(logits, torch.tensor([0]))  # one more of class 0: factor 2/8 for class 1
    assert out['loss_cls_classes'].item() == pytest.approx(math.log(1 + 0.25), rel=1e-5)
    assert out['loss_cls_objectness'].item() == pytest.approx(LOG2, rel=1e-5)
    assert loss.cum_samples.tolist() == [8, 2, 0]
    out = loss(logits, torch.tensor([1]))  # class 0 is the more common one: it pushes back in full
    assert out['loss_cls_classes'].item() == pytest.approx(LOG2, rel=1e-5)
    loss.p, loss.q = 0.0, 2.0
    out = loss(torch.tensor([[0.0, math.log(3), 0, 0]]), torch.tensor([0]))  # 1/4 against 3/4: factor 3**2
    assert out['loss_cls_classes'].item() == pytest.approx(math.log(1 + 3 * 9), rel=1e-5)


def test_seesaw_activation_and_accuracy():
    loss = build_loss(dict(type='SeesawLoss', num_classes=2))
    logits = torch.tensor([[0.0, math.log(3), 0.0, math.log(4)]])
    torch.testing.assert_close(loss.get_activation(logits), torch.tensor([[0.05, 0.15, 0.8]]))
    acc = loss.get_accuracy(logits.repeat(2, 1), torch.tensor([1, 2]))
    assert (acc['acc_classes'].item(), acc['acc_objectness'].item()) == (100, 50)
    assert loss.get_cls_channels(2) == 4
    with pytest.raises(ValueError, match='built for 2 classes, the head has 3'):
        loss.get_cls_channels(3)


@pytest.mark.parametrize(('wrong', 'factor'), [(3.0, 3**0.5), (1 / 3, 1.0)])
def test_seesaw_compensates_only_what_scores_higher(wrong, factor):
    loss = build_loss(dict(type='SeesawLoss', num_classes=2, p=0.0, q=0.5, reduction='sum', return_dict=False))
    out = loss(torch.tensor([[0.0, math.log(wrong), 0, 0]]), torch.tensor([0]))
    assert out.item() == pytest.approx(math.log(1 + wrong * factor) + LOG2, rel=1e-5)


def test_seesaw_counts_the_classes_of_lvis_and_background_unless_told_otherwise():
    assert len(build_loss(dict(type='SeesawLoss')).cum_samples) == 1203 + 1


def test_seesaw_takes_an_unseen_class_for_one_seen_once():
    loss = build_loss(dict(type='SeesawLoss', num_classes=2, p=1.0, q=0.0, return_dict=False))
    loss.cum_samples.copy_(torch.tensor([3.0, 0.0, 0.0]))
    out = loss(torch.zeros(1, 4), torch.tensor([0]))  # the fourth of class 0: factor 1/4 for class 1
    assert out.item() == pytest.approx(math.log(1.25) + LOG2, rel=1e-5)


def test_seesaw_divides_by_no_less_than_eps_and_weighs_both_parts():
    loss = build_loss(dict(type='SeesawLoss', num_classes=2, p=0.0, q=1.0, loss_weight=3.0))
    out = loss(torch.tensor([[0.0, math.log(9999), 0, 0]]), torch.tensor([0]))  # 0.0001 against 0.9999: factor 99.99
    assert out['loss_cls_classes'].item() == pytest.approx(3 * math.log(1 + 9999 * 99.99), rel=1e-5)
    assert out['loss_cls_objectness'].item() == pytest.approx(3 * LOG2, rel=1e-5)
    default = build_loss(dict(type='SeesawLoss'))
    assert (default.p, default.q, default.eps, default.loss_weight) == (0.8, 2, 0.01, 1)


def test_seesaw_background_counts_for_the_objectness_alone():
    loss = build_loss(dict(type='SeesawLoss', num_classes=2, p=0.0, q=0.0))
    # classes 1/4 and 3/4, object 3/4 and background 1/4
    logits = torch.tensor([[0.0, math.log(3), math.log(3), 0]]).repeat(2, 1)
    given = (logits, torch.tensor([0, 2]), torch.tensor([1.0, 0.5]))
    log4, log43 = math.log(4), math.log(4 / 3)
    out = loss(*given)
    assert out['loss_cls_objectness'].item() == pytest.approx((log43 + 0.5 * log4) / 2, rel=1e-5)
    assert out['loss_cls_classes'].item() == pytest.approx(log4, rel=1e-5)
    out = loss(*given, avg_factor=4)
    assert out['loss_cls_objectness'].item() == pytest.approx((log43 + 0.5 * log4) / 4, rel=1e-5)
    assert out['loss_cls_classes'].item() == pytest.approx(log4 / 4, rel=1e-5)
    assert loss.cum_samples.tolist() == [2, 0, 2]


def test_seesaw_asks_for_two_more_logits_than_classes():
    with pytest.raises(ValueError, match='expected 4 logits, got 3'):
        build_loss(dict(type='SeesawLoss', num_classes=2))(torch.zeros(1, 3), torch.tensor([0]))
