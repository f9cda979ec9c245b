import numpy as np
import pytest

from mmdet.core.visualization import get_palette, palette_val


def test_one_colour_serves_all_classes():
    assert get_palette((1, 2, 3), 2) == [(1, 2, 3), (1, 2, 3)]


def test_named_colour_is_red_green_blue():
    assert get_palette('blue', 2) == [(0, 0, 255), (0, 0, 255)]


@pytest.mark.parametrize(('name', 'count', 'first'), [('coco', 80, (220, 20, 60)), ('voc', 20, (106, 0, 228))])
def test_named_palette_has_a_colour_for_each_class(name, count, first):
    palette = get_palette(name, count)
    assert len(palette) == count and palette[0] == first


def test_random_palette_repeats_and_leaves_the_global_state_alone():
    np.random.seed(5)
    want = np.random.rand()
    np.random.seed(5)
    assert get_palette(None, 30) == get_palette('random', 30)
    assert np.random.rand() == want
    assert len(set(get_palette('random', 30))) == 30


def test_palette_val_scales_to_one():
    assert palette_val([(0, 51, 255)]) == [(0, 0.2, 1)]


def test_palettes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='1 colours for 2 classes'):
        get_palette([(1, 2, 3)], 2)
    with pytest.raises(ValueError, match="unknown name 'gren'; did you mean 'green'"):
        get_palette('gren', 2)
    with pytest.raises(TypeError, match='expected a list, a tuple'):
        get_palette(7, 2)


def test_coco_palette_covers_the_classes_of_panoptic_coco():
    assert len(get_palette('coco', 80)) == 80
    assert get_palette('coco', 133)[:80] == get_palette('coco', 80)
    assert get_palette('coco', 133)[132] == (250, 141, 255)
