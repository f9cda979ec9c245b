"""How panoptic maps are encoded, as arrays and as pictures."""

import numpy as np

# A panoptic map holds ``label + instance * INSTANCE_OFFSET`` for each pixel, so labels are below it.
INSTANCE_OFFSET = 1000
# The id of pixels that belong to no segment in COCO's panoptic pictures.
VOID = 0


def id2rgb(ids: np.ndarray) -> np.ndarray:
    """Segment ids (h, w) in [0, 256^3) -> colours (h, w, 3) uint8: id = red + 256 green + 256^2 blue."""
    return np.stack([ids % 256, ids // 256 % 256, ids // 256**2], axis=-1).astype(np.uint8)
