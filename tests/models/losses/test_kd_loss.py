import math

import pytest
import torch

from mmdet.models.losses.kd_loss import knowledge_distillation_kl_div_loss


def test_kd_loss_is_zero_for_equal_scores_and_scales_with_temperature():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 2 * math.log(3)]])
    kl = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)  # at T=2 the teacher says 1/4, 3/4
    loss = knowledge_distillation_kl_div_loss(student, teacher, T=2)
    assert loss.item() == pytest.approx(kl / 2 * 4, rel=1e-5)
    assert abs(knowledge_distillation_kl_div_loss(teacher, teacher, T=2).item()) < 1e-6
