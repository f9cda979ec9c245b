"""Augmented tests that need each version of an image beside its mirrored one."""

from torch import Tensor

from mmdet.core.img_meta import ImgMeta

Version = tuple[Tensor, list[ImgMeta]]


def pairs_of_versions(imgs: list[Tensor], img_metas: list[list[ImgMeta]]) -> list[tuple[Version, Version]]:
    """Each version (1, 3, H, W) and its meta information with those of the mirrored version that follows it.

    Raises:
        ValueError: a version is not followed by its mirrored one.
    """
    versions = list(zip(imgs, img_metas))
    flips = [bool(metas[0].get('flip')) for metas in img_metas]
    if len(flips) % 2 or any(flips[::2]) or not all(flips[1::2]):
        raise ValueError(
            f'the augmented test of this detector wants each version followed by its mirrored one, got flip={flips}; '
            'set flip=True of MultiScaleFlipAug'
        )
    return list(zip(versions[::2], versions[1::2]))
