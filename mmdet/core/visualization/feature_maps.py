"""Pictures of feature maps."""

from collections.abc import Sequence

import cv2
import numpy as np

REDUCTIONS = ('mean', 'max', 'norm')
CAPTION_PX = 16  # height of the line above each tile
GAP_PX = 4  # between tiles


def reduce_channels(feature_map: np.ndarray, how: str) -> np.ndarray:
    """(C, H, W) -> (H, W): mean, greatest or Euclidean norm over the channels.

    Raises:
        ValueError: another ``how``.
    """
    if how not in REDUCTIONS:
        raise ValueError(f'reduction: expected one of {", ".join(REDUCTIONS)}, got {how!r}')
    if how == 'norm':
        return np.sqrt((feature_map**2).sum(0))
    return feature_map.mean(0) if how == 'mean' else feature_map.max(0)


def stretch(values: np.ndarray) -> np.ndarray:
    """Values linearly onto [0, 255] uint8; equal values give 0, values that are no numbers count as the least."""
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    scaled = (np.where(finite, values, low) - low) / ((high - low) or 1.0)
    return (scaled * 255).round().astype(np.uint8)


def heat_tile(values: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(H, W) -> (h, w, 3) uint8 BGR, each value a rectangle of one colour, dark to bright."""
    large = cv2.resize(stretch(values), size_wh, interpolation=cv2.INTER_NEAREST)
    return cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS)


def captioned(tile: np.ndarray, text: str) -> np.ndarray:
    """A tile (h, w, 3) with a line of text above it."""
    line = np.full((CAPTION_PX, tile.shape[1], 3), 255, np.uint8)
    cv2.putText(line, text, (1, CAPTION_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([line, tile])


def feature_map_picture(image: np.ndarray | None, maps: Sequence[np.ndarray], reduction: str = 'mean') -> np.ndarray:
    """One image beside its feature maps, each stretched to its own range.

    Args:
        image: (3, H, W) in any range, RGB as the network gets it; None: only the maps.
        maps: L times (C, h, w).
        reduction: see :func:`reduce_channels`.

    Returns:
        (height, width, 3) uint8 BGR; above each map its size and range.
    """
    if image is not None:
        size_wh = (image.shape[2], image.shape[1])
        tiles = [captioned(np.ascontiguousarray(stretch(image)[::-1].transpose(1, 2, 0)), 'input')]
    else:
        largest = max(maps, key=lambda m: m.shape[1] * m.shape[2])
        factor = max(1, round(192 / max(largest.shape[1:])))
        size_wh, tiles = (largest.shape[2] * factor, largest.shape[1] * factor), []
    for feature_map in maps:
        values = reduce_channels(feature_map, reduction)
        text = f'{values.shape[1]}x{values.shape[0]} {np.nanmin(values):.2g}..{np.nanmax(values):.2g}'
        tiles.append(captioned(heat_tile(values, size_wh), text))
    gap = np.full((tiles[0].shape[0], GAP_PX, 3), 255, np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)
