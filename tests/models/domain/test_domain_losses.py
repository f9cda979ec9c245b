import math

import pytest
import torch

from mmdet.models.domain.domain_losses import (
    consistency_loss,
    image_domain_accuracy,
    image_domain_loss,
    inside_images,
    instance_domain_accuracy,
    instance_domain_loss,
    roi_weights,
)


def logit(p):
    return math.log(p / (1 - p))


def test_padding_is_outside():
    inside = inside_images([(32, 48, 3), (16, 40, 3)], (32, 48), (4, 6), torch.device('cpu'))
    assert inside[0].all()
    assert inside[1].sum(0).tolist() == [2, 2, 2, 2, 2, 0]
    # a map whose stride does not divide the batch: corners at 0, 16 and 32 px of 48
    assert inside_images([(1, 33)], (32, 48), (1, 3), torch.device('cpu'))[0].tolist() == [[True, True, True]]
    assert inside_images([(1, 32)], (32, 48), (1, 3), torch.device('cpu'))[0].tolist() == [[True, True, False]]


def test_image_loss_is_the_mean_over_places_then_levels_then_images():
    # probabilities of domain 1; the second image's last column is padding
    first = torch.tensor([[[0.2, 0.2]], [[0.9, 0.5]]]).logit()
    second = torch.tensor([[[0.5]], [[0.25]]]).logit()
    inside = [torch.tensor([[[True, True]], [[True, False]]]), torch.ones(2, 1, 1, dtype=torch.bool)]
    loss = image_domain_loss([first, second], inside, torch.tensor([0, 1]))
    by_hand = -(math.log(0.8) + math.log(0.5) + math.log(0.9) + math.log(0.25)) / 4
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)
    # image 0: all right (a logit of 0 counts as domain 0); image 1: right on the first level, wrong on the second
    assert image_domain_accuracy([first, second], inside, torch.tensor([0, 1])).item() == pytest.approx(75.0)


def test_padding_has_no_gradient_even_where_it_is_not_finite():
    logits = torch.tensor([[[0.3, math.inf]]], requires_grad=True)
    inside = torch.tensor([[[True, False]]])
    image_domain_loss([logits], [inside], torch.tensor([0])).backward()
    assert logits.grad[0, 0, 1] == 0 and logits.grad[0, 0, 0] > 0


def test_every_image_counts_alike_whatever_its_number_of_rois():
    logits = torch.tensor([logit(0.5), logit(0.2), logit(0.9)])
    image = torch.tensor([0, 0, 1])
    domains = torch.tensor([0, 1])
    by_hand = -((math.log(0.5) + math.log(0.8)) / 2 + math.log(0.9)) / 2
    assert instance_domain_loss(logits, image, domains).item() == pytest.approx(by_hand, rel=1e-6)
    assert roi_weights(image, 2).tolist() == [0.25, 0.25, 0.5]


@pytest.mark.parametrize('image, share', [([0, 0, 2], 100.0), ([1, 1, 1], 0.0), ([0, 1, 1], 50.0)])
def test_instance_accuracy_is_over_the_images_that_have_rois(image, share):
    logits = torch.tensor([-1.0, -2.0, -3.0])
    accuracy = instance_domain_accuracy(logits, torch.tensor(image), torch.tensor([0, 1, 0]))
    assert accuracy.item() == pytest.approx(share)


def test_no_rois_give_attached_zeros():
    logits = torch.zeros(0, requires_grad=True)
    maps = torch.randn(2, 1, 3, requires_grad=True)
    nothing = torch.zeros(0, dtype=torch.long)
    inside = [torch.ones(2, 1, 3, dtype=torch.bool)]
    loss = instance_domain_loss(logits, nothing, torch.tensor([0, 1]))
    agreement = consistency_loss([maps], inside, logits, nothing)
    (loss + agreement).backward()
    assert loss.item() == agreement.item() == 0
    assert logits.grad.shape == (0,) and maps.grad.equal(torch.zeros(2, 1, 3))
    assert instance_domain_accuracy(logits, nothing, torch.tensor([0, 1])).item() == 0


def test_consistency_compares_each_roi_with_the_mean_of_its_image():
    maps = torch.tensor([[[0.2, 0.4]], [[0.8, 0.6]]]).logit()
    inside = [torch.tensor([[[True, True]], [[True, False]]])]
    rois = torch.tensor([logit(0.5), logit(0.1), logit(0.8)])
    loss = consistency_loss([maps], inside, rois, torch.tensor([0, 0, 1]))
    # image 0: mean 0.3, differences 0.2 and 0.2; image 1: 0.8 against 0.8
    assert loss.item() == pytest.approx((0.2 + 0.0) / 2, abs=1e-6)
