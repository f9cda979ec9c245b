import pytest
import torch

from mmdet.core.bbox.samplers.choice import at_most, balanced_choice, random_choice


def test_choices_differ_and_stay_inside():
    gallery = torch.arange(100) * 3
    chosen = random_choice(gallery, 40)
    assert len(chosen.unique()) == 40 and torch.isin(chosen, gallery).all()
    assert not torch.equal(chosen, gallery[:40])
    assert torch.equal(at_most(gallery, 100), gallery) and len(at_most(gallery, 0)) == 0
    with pytest.raises(ValueError, match='cannot choose 4 of 3 elements'):
        random_choice(gallery[:3], 4)


def test_balanced_choice_fills_up_from_large_groups():
    groups = torch.tensor([0] * 2 + [1] * 30 + [2] * 30)
    chosen = balanced_choice(torch.arange(62), groups, quota=5, num=16)
    counts = torch.bincount(groups[chosen], minlength=3)
    assert counts[0] == 2 and counts.min() == 2 and counts[1:].min() >= 5 and counts.sum() == 16
