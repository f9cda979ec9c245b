"""Colours of classes. A colour is (red, green, blue), 0 to 255, unless said otherwise."""

import mmcv
import numpy as np

from mmdet.core.visualization import dataset_colours
from mmdet.utils.registry import did_you_mean

RGB = tuple[int, int, int]

NAMED_PALETTES: dict[str, list[RGB]] = {
    'coco': dataset_colours.COCO_PALETTE,
    'voc': dataset_colours.VOC_PALETTE,
    'citys': dataset_colours.CITYSCAPES_PALETTE,
}
RANDOM_SEED = 42  # random palettes are the same in every program, so that pictures can be compared


def palette_val(palette: list[RGB]) -> list[tuple[float, float, float]]:
    """Colours of 0 to 255 as matplotlib wants them: 0 to 1."""
    return [(red / 255, green / 255, blue / 255) for red, green, blue in palette]


def random_palette(num_classes: int) -> list[RGB]:
    """As many colours as there are classes, always the same ones; numpy's global state stays untouched."""
    colours = np.random.RandomState(RANDOM_SEED).randint(0, 256, size=(num_classes, 3))
    return [tuple(colour) for colour in colours.tolist()]


def get_palette(palette: list[RGB] | RGB | str | None, num_classes: int) -> list[RGB]:
    """One colour for each class.

    Args:
        palette: a list of colours; one colour (a tuple) for all; 'random' or None; the name of a data set
            ('coco', 'voc', 'citys'); or the name of a colour that mmcv knows, such as 'green', for all.
        num_classes: number of classes.

    Returns:
        At least ``num_classes`` colours.

    Raises:
        ValueError: fewer colours than classes, or an unknown name.
        TypeError: ``palette`` is of another type.
    """
    if palette is None or palette == 'random':
        colours = random_palette(num_classes)
    elif isinstance(palette, list):
        colours = palette
    elif isinstance(palette, tuple):
        colours = [palette] * num_classes
    elif isinstance(palette, str):
        colours = _palette_by_name(palette, num_classes)
    else:
        raise TypeError(f'palette: expected a list, a tuple, a name or None, got {type(palette).__name__}')
    if len(colours) < num_classes:
        raise ValueError(f'palette: {len(colours)} colours for {num_classes} classes')
    return colours


def _palette_by_name(name: str, num_classes: int) -> list[RGB]:
    """The palette of a data set, or one named colour for all classes."""
    if name == 'coco' and num_classes > len(dataset_colours.COCO_PALETTE):
        return list(dataset_colours.COCO_PANOPTIC_PALETTE)
    if name in NAMED_PALETTES:
        return list(NAMED_PALETTES[name])
    colour_names = list(mmcv.Color.__members__)
    if name not in colour_names:
        known = ['random', *NAMED_PALETTES, *colour_names]
        raise ValueError(f'palette: unknown name {name!r}{did_you_mean(name, known)} Known: {", ".join(known)}')
    return [mmcv.color_val(name)[::-1]] * num_classes
