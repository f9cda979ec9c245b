"""Class names of well-known data sets by the name of the data set."""

from mmdet.core.evaluation import class_lists, openimages_class_lists
from mmdet.utils.registry import did_you_mean

dataset_aliases = {
    'voc': ['voc', 'pascal_voc', 'voc07', 'voc12'],
    'imagenet_det': ['det', 'imagenet_det', 'ilsvrc_det'],
    'imagenet_vid': ['vid', 'imagenet_vid', 'ilsvrc_vid'],
    'coco': ['coco', 'mscoco', 'ms_coco'],
    'wider_face': ['WIDERFaceDataset', 'wider_face', 'WIDERFace'],
    'cityscapes': ['cityscapes'],
    'oid_challenge': ['oid_challenge', 'openimages_challenge'],
    'oid_v6': ['oid_v6', 'openimages_v6'],
    'objects365v1': ['objects365v1', 'obj365v1'],
    'objects365v2': ['objects365v2', 'obj365v2'],
}


def wider_face_classes() -> list[str]:
    """WIDER FACE: the one class."""
    return ['face']


def voc_classes() -> list[str]:
    """PASCAL VOC: 20 classes."""
    return list(class_lists.VOC)


def imagenet_det_classes() -> list[str]:
    """ImageNet detection: 200 classes."""
    return list(class_lists.IMAGENET_DET)


def imagenet_vid_classes() -> list[str]:
    """ImageNet video: 30 classes."""
    return list(class_lists.IMAGENET_VID)


def coco_classes() -> list[str]:
    """COCO: 80 classes, blanks written as underscores."""
    return [name.replace(' ', '_') for name in class_lists.COCO]


def cityscapes_classes() -> list[str]:
    """Cityscapes: the 8 classes with instances."""
    return list(class_lists.CITYSCAPES)


def oid_challenge_classes() -> list[str]:
    """Open Images Challenge 2019: 500 classes."""
    return list(openimages_class_lists.OID_CHALLENGE)


def oid_v6_classes() -> list[str]:
    """Open Images V6: 601 classes."""
    return list(openimages_class_lists.OID_V6)


def objects365v1_classes() -> list[str]:
    """Objects365, first version: 365 classes."""
    return list(class_lists.OBJECTS365V1)


def objects365v2_classes() -> list[str]:
    """Objects365, second version: 365 classes."""
    return list(class_lists.OBJECTS365V2)


_CLASSES_OF = {
    'voc': voc_classes,
    'imagenet_det': imagenet_det_classes,
    'imagenet_vid': imagenet_vid_classes,
    'coco': coco_classes,
    'wider_face': wider_face_classes,
    'cityscapes': cityscapes_classes,
    'oid_challenge': oid_challenge_classes,
    'oid_v6': oid_v6_classes,
    'objects365v1': objects365v1_classes,
    'objects365v2': objects365v2_classes,
}


def get_classes(dataset: str) -> list[str]:
    """Class names of a data set by its name or one of its other names (``dataset_aliases``).

    Raises:
        TypeError: the name is no text.
        ValueError: it is not known.
    """
    if not isinstance(dataset, str):
        raise TypeError(f'dataset: expected a name, got {type(dataset).__name__}')
    name_of = {alias: name for name, aliases in dataset_aliases.items() for alias in aliases}
    if dataset not in name_of:
        raise ValueError(
            f'No class names are known for {dataset!r}{did_you_mean(dataset, name_of)} Known: {", ".join(name_of)}'
        )
    return _CLASSES_OF[name_of[dataset]]()
