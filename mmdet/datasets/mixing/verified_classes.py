"""Which classes an image of a federated data set speaks about: the lists that become ``labeled_classes``.

Such a set has many classes, and each image was checked for some of them. A region without a box is evidence against a
class only where the class was looked for and all of its objects have a box.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mmdet.core.directives import LABELED_CLASSES

NEGATIVE_IDS = 'neg_category_ids'
NOT_EXHAUSTIVE_IDS = 'not_exhaustive_category_ids'


def check_lvis_image(img: Mapping[str, Any]) -> None:
    """Check that an image's entry says which categories it was checked for.

    Raises:
        ValueError: it does not.
    """
    missing = [key for key in (NEGATIVE_IDS, NOT_EXHAUSTIVE_IDS) if key not in img]
    if missing:
        raise ValueError(
            f'image {img["id"]} has no {" and no ".join(missing)}, which say what it was checked for; for annotations '
            'that are not those of LVIS use CocoDataset'
        )


def lvis_verified(img: Mapping[str, Any], annotated: Collection[int]) -> list[int]:
    """The category ids that an image of `LVIS <https://arxiv.org/abs/1908.03195>`_ speaks about, rising.

    They are those of its objects and those that were found not to be there (``neg_category_ids``), without those of
    which not all objects are annotated (``not_exhaustive_category_ids``).

    Args:
        img: the image's entry.
        annotated: category ids of its annotations, of the whole file.

    Raises:
        ValueError: the entry does not say what the image was checked for.
    """
    check_lvis_image(img)
    return sorted(set(annotated).union(img[NEGATIVE_IDS]).difference(img[NOT_EXHAUSTIVE_IDS]))


def open_images_verified(
    boxed: Sequence[int], verified: Sequence[tuple[int, float]], ancestors: np.ndarray
) -> list[int]:
    """The labels that an image of `Open Images <https://arxiv.org/abs/1811.00982>`_ speaks about, rising.

    Classes that were found to be there have boxes around all their objects. A class that was found not to be there
    takes all below it along. A class that is there has all above it there, too; but those have boxes only where they
    are of a class that was looked for, so they are neither missing nor, unless verified themselves, annotated.

    Args:
        boxed: labels of the image's boxes.
        verified: label and confidence of the image as a whole: 1 (there) and 0 (not there) are a person's word; what is
            between is a machine's guess and says nothing.
        ancestors: (K, K) bool; row: class, column: itself and its ancestors.
    """
    there, missing = np.zeros((2, len(ancestors)), dtype=bool)
    there[[*boxed, *(label for label, confidence in verified if confidence == 1)]] = True
    missing[[label for label, confidence in verified if confidence == 0]] = True
    missing &= ~ancestors[there].any(0)  # where a class below is there, that statement is wrong
    return np.flatnonzero(there | ancestors[:, missing].any(1)).tolist()


def unread_list(dataset: Any, read: Collection[str]) -> list[str]:
    """What is wrong with a training set that notes the verified classes of its images, as a list of texts.

    Args:
        dataset: any.
        read: the keys of its images' entries that become directives.
    """
    if not getattr(dataset, 'verified_classes', False) or dataset.test_mode or LABELED_CLASSES in read:
        return []
    return [
        "verified_classes=True, but the pipeline does not read the lists. Add dict(type='AddFieldToImgMetas', "
        f'from_img_info=[{LABELED_CLASSES!r}]) behind Collect.'
    ]


def note_verified(entry: dict, labels: Sequence[int]) -> None:
    """Write into an image's entry which classes were looked for, labels of the data set."""
    entry[LABELED_CLASSES] = list(labels)
