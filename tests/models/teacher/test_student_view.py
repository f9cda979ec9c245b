"""Changes of colour and holes, on normalised images and on those of uint8."""

import numpy as np
import pytest
import torch

from mmdet.models.teacher import StudentView
from mmdet.models.teacher.student_view import blurred

NORM = dict(mean=np.array([100.0, 110, 120]), std=np.array([50.0, 55, 60]), to_rgb=True)
META = dict(img_shape=(16, 20, 3), img_norm_cfg=NORM)
NOTHING = dict(brightness=0, contrast=0, saturation=0, grey=0, blur=0, holes=0)


def images(num=2):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (num, 3, 16, 24), generator=generator).float()
    mean, std = (torch.tensor(NORM[key]).float()[:, None, None] for key in ('mean', 'std'))
    normalised = (pixels - mean) / std
    normalised[..., 20:] = 0  # padding
    return pixels, normalised


def test_only_chosen_images_change_and_padding_stays():
    _, normalised = images()
    out = StudentView()(normalised, [META, META], [False, True])
    assert out[0].equal(normalised[0]) and not out[1].equal(normalised[1])
    assert not out[1, :, :, 20:].any() and out is not normalised
    torch.testing.assert_close(StudentView(**NOTHING)(normalised, [META] * 2, [True] * 2), normalised)


def test_grey_images_by_hand_in_either_order_of_the_colours():
    pixels, normalised = images(1)
    view = StudentView(**{**NOTHING, 'grey': 1})
    out = view(normalised, [META], [True])[0, :, :, :20]
    mean, std = (torch.tensor(NORM[key]).float()[:, None, None] for key in ('mean', 'std'))
    luma = (pixels[0] * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0)[:, :20]
    torch.testing.assert_close(out * std + mean, luma.expand(3, -1, -1), rtol=1e-4, atol=1e-2)
    of_bytes = view(pixels.byte(), [dict(img_shape=(16, 24, 3))], [True])
    bgr = (pixels[0] * torch.tensor([0.114, 0.587, 0.299])[:, None, None]).sum(0).round()
    assert of_bytes.dtype == torch.uint8 and (of_bytes[0].float() - bgr).abs().max() <= 1


def test_holes_are_of_one_colour_and_not_larger_than_asked():
    torch.manual_seed(1)
    _, normalised = images(1)
    view = StudentView(**{**NOTHING, 'holes': 1, 'hole_size': 0.5})
    areas = []
    for _ in range(20):
        changed = (view(normalised, [META], [True]) - normalised).abs().amax(1)[0] > 1e-4
        areas.append(int(changed.sum()))
        rows, columns = changed.any(1).sum(), changed.any(0).sum()
        assert changed.sum() == rows * columns and rows <= 8 and columns <= 10
    assert min(areas) == 0 < max(areas)


def test_the_same_seed_gives_the_same_view():
    _, normalised = images(1)
    for seed, same in ((3, True), (4, False)):
        views = []
        for s in (3, seed):
            torch.manual_seed(s)
            views.append(StudentView()(normalised, [META], [True]))
        assert views[0].equal(views[1]) == same


@pytest.mark.parametrize('sigma', [1.0, 2.0])
def test_blur_keeps_the_mean_of_a_constant_and_spreads_a_point(sigma):
    torch.testing.assert_close(blurred(torch.full((3, 9, 9), 0.3), sigma), torch.full((3, 9, 9), 0.3))
    point = torch.zeros(3, 33, 33)
    point[:, 16, 16] = 1
    out = blurred(point, sigma)
    offsets = torch.arange(33) - 16
    variance = (out[0].sum(0) * offsets**2).sum()
    assert float(variance) == pytest.approx(sigma**2, rel=0.05) and float(out[0].sum()) == pytest.approx(1)
