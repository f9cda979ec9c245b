"""Attributes under earlier names."""

import pytest

from mmdet.models.dense_heads.functional.old_names import old_name


class Head:
    num_base_priors = 3
    num_anchors = old_name('num_anchors', 'num_base_priors')


def test_the_old_name_warns_and_gives_the_new_attribute():
    with pytest.warns(DeprecationWarning, match='num_anchors is deprecated; use num_base_priors'):
        assert Head().num_anchors == 3
