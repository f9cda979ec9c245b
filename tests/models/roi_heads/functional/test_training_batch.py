import pytest

from mmdet.models.roi_heads.functional.training_batch import needed_masks


def test_a_mask_branch_without_masks_says_where_they_come_from():
    with pytest.raises(ValueError, match=r'gt_masks.*with_mask=True.*Collect'):
        needed_masks(None)
    masks = []
    assert needed_masks(masks) is masks
