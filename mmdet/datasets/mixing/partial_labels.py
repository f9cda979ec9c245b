"""Evaluation where not every class is annotated in every image."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.core.directives import CLASS_KEYS, resolve_file_classes, restricts_classes, unlabelled_classes
from mmdet.datasets.api_wrappers.coco_api import COCO
from mmdet.datasets.mixing.image_fields import directive_steps, fields_of_image


def labelled_only(dataset: Any, results: Sequence[Any]) -> tuple[list[Any], COCO]:
    """Results and annotations of a COCO data set without the classes that are not annotated in an image.

    Args:
        dataset: with ``coco``, ``img_ids`` and ``cat2label``.
        results: one for each image.

    Raises:
        ValueError: see :func:`unlabelled_of_images`.
    """
    unlabelled = unlabelled_of_images(dataset)
    category = {label: cat_id for cat_id, label in dataset.cat2label.items()}
    of_image = {
        img_id: {category[label] for label in labels if label in category}
        for img_id, labels in zip(dataset.img_ids, unlabelled)
    }
    return keep_labelled(results, unlabelled), labelled_annotations(dataset.coco, of_image)


def unlabelled_of_images(dataset: Any) -> list[list[int]]:
    """For each image of a data set the labels that are not annotated in it.

    What the pipeline's ``AddFieldToImgMetas`` says counts, else ``labeled_classes`` or ``unlabeled_classes`` in the
    image's entry (names, or category ids of the file).

    Raises:
        ValueError: no image says anything, so that nothing would be restricted.
    """
    steps = directive_steps(dataset)
    fields = [_class_fields(steps, info, dataset) for info in dataset.data_infos]
    if not any(map(restricts_classes, fields)):
        raise ValueError(
            f'{dataset.ann_file}: labeled_only=True, but no image says which classes are annotated in it: neither its '
            f'entry nor AddFieldToImgMetas in the pipeline of the data set has {" or ".join(CLASS_KEYS)}'
        )
    return [unlabelled_classes(own, len(dataset.CLASSES)) for own in fields]


def _class_fields(steps: Sequence[Any], info: Mapping[str, Any], dataset: Any) -> dict[str, Any]:
    fields = {key: value for key, value in fields_of_image(steps, info).items() if key in CLASS_KEYS}
    if fields:
        return fields
    label, names = dataset.cat2label.get, dataset.CLASSES
    return {key: resolve_file_classes(key, info[key], names, label) for key in CLASS_KEYS if key in info}


def keep_labelled(results: Sequence[Any], unlabelled: Sequence[Sequence[int]]) -> list[Any]:
    """Results without the detections of classes that their image does not have annotated.

    Args:
        results: for each image detections of each class (n, 5), a pair of these and masks, or proposals (n, 5), which
            have no class and stay.
        unlabelled: for each image labels.
    """
    return [_without(result, set(labels)) if labels else result for result, labels in zip(results, unlabelled)]


def _without(result: Any, labels: set[int]) -> Any:
    if isinstance(result, tuple):
        return tuple(_without(part, labels) for part in result)
    if isinstance(result, list):
        return [of_class[:0] if label in labels else of_class for label, of_class in enumerate(result)]
    return result


def labelled_annotations(coco: COCO, unlabelled: Mapping[int, set[int]]) -> COCO:
    """An annotation file without the annotations of some classes in some images.

    Args:
        coco: the whole file; not changed.
        unlabelled: image id -> category ids.
    """
    kept = COCO()
    annotations = [
        ann
        for ann in coco.dataset.get('annotations', [])
        if ann['category_id'] not in unlabelled.get(ann['image_id'], ())
    ]
    kept.dataset = {**coco.dataset, 'annotations': annotations}
    kept.build_index()
    return kept
