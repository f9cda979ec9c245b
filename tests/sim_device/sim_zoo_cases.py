"""Cases of the detectors of the zoo."""

import sys
from pathlib import Path

from sim_models import MASKS, Case

sys.path.append(str(Path(__file__).resolve().parents[1] / 'models'))
import small_zoo  # noqa: E402 - found by the line above

SIZE = (64, 64)
PANOPTIC = dict(panoptic_on=True, instance_on=True, object_mask_thr=0.0, iou_thr=0.0, max_per_image=4)
ZOO = {
    kind.removesuffix('Head').lower(): Case(cfg, size=SIZE, classes=3)
    for kind, cfg in {**small_zoo.DENSE, **small_zoo.TAUGHT, **small_zoo.OF_SSD}.items()
}
ZOO |= {
    kind.removesuffix('Head').lower(): Case(cfg, MASKS, size=SIZE, classes=3) for kind, cfg in small_zoo.MASKS.items()
}
ZOO |= {
    kind.lower(): Case(small_zoo.with_mask_queries(kind, **PANOPTIC), MASKS, size=SIZE, classes=2)
    for kind in ('MaskFormer', 'Mask2Former')
}
