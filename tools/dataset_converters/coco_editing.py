"""What the scripts coco_combine, coco_split, coco_filter and coco_to_csv have in common."""

import difflib
import json
import math
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from mmdet.datasets.formats.coco_fields import read_fields, read_json

import numpy as np

Content = dict[str, Any]
LISTS = ('images', 'annotations', 'categories')


def format_list(values: Iterable[Any], limit: int = 5) -> str:
    """The first values as a text, and how many there are if not all are named."""
    values = list(values)
    more = f', ... ({len(values)} in all)' if len(values) > limit else ''
    return ', '.join(map(str, values[:limit])) + more


def read_coco(path: str) -> Content:
    """Content of a COCO file.

    Raises:
        ValueError: no JSON; a list is missing; a field is not as the format asks (see
            :mod:`mmdet.datasets.formats.coco_fields`); ids are there twice; or an annotation has no image or category.
    """
    content = read_json(path)
    if not isinstance(content, dict) or any(not isinstance(content.get(key), list) for key in LISTS):
        raise ValueError(f'{path}: expected a JSON object with the lists {", ".join(LISTS)}')
    is_panoptic = any(isinstance(ann, dict) and 'segments_info' in ann for ann in content['annotations'])
    read_fields(content, path, is_panoptic)
    check_ids(content, path, is_panoptic)
    return content


def check_ids(content: Content, path: str, is_panoptic: bool = False) -> None:
    """Check that ids are there once, and that annotations name images that are there.

    Raises:
        ValueError: they do not.
    """
    for key in ('images', 'categories') if is_panoptic else LISTS:
        counts = Counter(entry['id'] for entry in content[key])
        twice = [value for value, count in counts.items() if count > 1]
        if twice:
            raise ValueError(f'{path}: ids of {key} are there more than once: {format_list(twice)}')
    known = {entry['id'] for entry in content['images']}
    lost = [ann.get('id', ann['image_id']) for ann in content['annotations'] if ann['image_id'] not in known]
    if lost:
        raise ValueError(f'{path}: annotations whose image_id is not among images: {format_list(lost)}')


@contextmanager
def replacing(path: str, **options) -> Iterator[IO[str]]:
    """Open a text file for writing that takes its name only when it is complete; an error leaves what was there."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=os.path.basename(path), suffix='.part')
    try:
        with os.fdopen(handle, 'w', encoding='utf-8', **options) as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_coco(content: Content, path: str) -> None:
    """Write a COCO file at once, or not at all."""
    with replacing(path) as file:
        json.dump(content, file)


def describe(content: Content) -> str:
    """``'12 images, 30 objects (cat 20, dog 10)'``."""
    names = {cat['id']: cat['name'] for cat in content['categories']}
    counts = Counter(names[ann['category_id']] for ann in content['annotations'])
    per_class = ', '.join(f'{name} {counts[name]}' for name in names.values())
    return f'{len(content["images"])} images, {len(content["annotations"])} objects ({per_class})'


def ids_of_names(content: Content, names: Iterable[str], path: str) -> set[int]:
    """Category ids of names.

    Raises:
        ValueError: a name is not there.
    """
    id_of = {cat['name']: cat['id'] for cat in content['categories']}
    for name in names:
        if name not in id_of:
            near = difflib.get_close_matches(name, id_of, 1)
            hint = f'; did you mean {near[0]!r}?' if near else '.'
            raise ValueError(f'{path}: there is no class {name!r}{hint} It has: {", ".join(id_of)}')
    return {id_of[name] for name in names}


def filter_classes(content: Content, kept_ids: set[int], drop_empty_images: bool = False) -> Content:
    """Content with some categories only.

    Args:
        content: of a COCO file; not changed.
        kept_ids: ids of the categories that stay; all ids stay as they are.
        drop_empty_images: also leave out the images that lose all their annotations, or had none.
    """
    anns = [ann for ann in content['annotations'] if ann['category_id'] in kept_ids]
    occupied = {ann['image_id'] for ann in anns}
    images = [img for img in content['images'] if not drop_empty_images or img['id'] in occupied]
    return dict(
        content,
        images=images,
        annotations=anns,
        categories=[cat for cat in content['categories'] if cat['id'] in kept_ids],
    )


def select_images(content: Content, img_ids: set[int]) -> Content:
    """Content with some images only; all categories stay."""
    return dict(
        content,
        images=[img for img in content['images'] if img['id'] in img_ids],
        annotations=[ann for ann in content['annotations'] if ann['image_id'] in img_ids],
    )


def join_categories(contents: Sequence[Content], paths: Sequence[str]) -> list[dict]:
    """Categories of several files, matched by name, in order of first appearance, with ids from 1.

    Raises:
        ValueError: a file has a name twice, or files describe one category differently (its key points, ...).
    """
    joined: dict[str, dict] = {}
    for content, path in zip(contents, paths):
        names = Counter(cat['name'] for cat in content['categories'])
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f'{path}: classes are there more than once: {format_list(twice)}')
        for cat in content['categories']:
            new = {key: value for key, value in cat.items() if key not in ('id', 'supercategory')}
            old = joined.setdefault(cat['name'], dict(cat, id=len(joined) + 1))
            if any(key in old and old[key] != value for key, value in new.items()):
                raise ValueError(f'{path}: class {cat["name"]!r} is described differently than in the files before')
    return list(joined.values())


def combine(
    contents: Sequence[Content], paths: Sequence[str], prefixes: Sequence[str] | None = None, merge_images: bool = False
) -> Content:
    """One content of several: categories matched by name, all ids renumbered from 1.

    Args:
        contents: of COCO files; not changed.
        paths: for messages.
        prefixes: folder to put before the image files' names of each.
        merge_images: an image file that several have becomes one image with all annotations; else that is an error.

    Raises:
        ValueError: image files of one name, or of one name and different sizes; panoptic annotations.
    """
    out: Content = dict(info=contents[0].get('info', {}), licenses=[], images=[], annotations=[])
    out['categories'] = join_categories(contents, paths)
    new_cat = {cat['name']: cat['id'] for cat in out['categories']}
    images: dict[str, dict] = {}
    for content, path, prefix in zip(contents, paths, prefixes or [''] * len(contents)):
        cat_of = {cat['id']: new_cat[cat['name']] for cat in content['categories']}
        licence_of = _join_licences(out['licenses'], content.get('licenses') or [])
        img_of = {}
        for img in content['images']:
            entry = _renamed(img, prefix, licence_of, len(images) + 1, path)
            img_of[img['id']] = _add_image(images, entry, path, merge_images)
        for ann in content['annotations']:
            if 'segments_info' in ann:
                raise ValueError(f'{path}: panoptic annotations cannot be combined')
            new = dict(id=len(out['annotations']) + 1, image_id=img_of[ann['image_id']])
            out['annotations'].append(ann | new | dict(category_id=cat_of[ann['category_id']]))
    out['images'] = list(images.values())
    return out


def _join_licences(joined: list[dict], own: Sequence[Mapping]) -> dict[int, int]:
    """Add licences that are not there yet; own id -> new id."""
    new_id = {}
    for licence in own:
        text = {key: value for key, value in licence.items() if key != 'id'}
        same = [old['id'] for old in joined if {k: v for k, v in old.items() if k != 'id'} == text]
        if not same:
            joined.append(dict(text, id=len(joined) + 1))
        new_id[licence.get('id')] = same[0] if same else len(joined)
    return new_id


def _renamed(img: Mapping, prefix: str, licence_of: Mapping[int, int], new_id: int, path: str) -> dict:
    if 'file_name' not in img:
        raise ValueError(f'{path}: image {img["id"]} has no "file_name"')
    entry = dict(img, id=new_id, file_name=os.path.join(prefix, img['file_name']) if prefix else img['file_name'])
    if img.get('license') in licence_of:
        entry['license'] = licence_of[img['license']]
    return entry


def _add_image(images: dict[str, dict], entry: dict, path: str, merge: bool) -> int:
    """Add an image, or find the one of that name; its id."""
    old = images.setdefault(entry['file_name'], entry)
    if old is not entry and not merge:
        raise ValueError(
            f'{path}: image {entry["file_name"]} is there already; give the files different --prefixes, or join their '
            'annotations with --merge-images'
        )
    sizes = [(img.get('width'), img.get('height')) for img in (old, entry)]
    if sizes[0] != sizes[1]:
        raise ValueError(f'{path}: image {entry["file_name"]} is {sizes[1]} px (w, h) here and {sizes[0]} before')
    return old['id']


def split_images(
    content: Content, fractions: Sequence[float], seed: int, tick: Callable[[Sequence], Iterable] = iter
) -> list[set[int]]:
    """Divide the images so that each class is divided likewise.

    Iterative stratification (Sechidis et al., 2011): the rarest class goes first; each of its images goes to the part
    that lacks it most, then to the one that lacks images most, then by chance.

    Args:
        content: of a COCO file.
        fractions: of each part, > 0, with the sum 1.
        seed: of what is left to chance; the same seed gives the same parts.
        tick: goes round the images, for a bar.

    Returns:
        Image ids of each part.
    """
    rng = np.random.default_rng(seed)
    classes_of, images_of = defaultdict(set), defaultdict(set)
    for ann in content['annotations']:
        classes_of[ann['image_id']].add(ann['category_id'])
        images_of[ann['category_id']].add(ann['image_id'])
    fractions_ = np.asarray(fractions, dtype=float)
    lacks = {cat: fractions_ * len(images) for cat, images in images_of.items()}
    lacks_images = fractions_ * len(content['images'])
    order = [content['images'][i]['id'] for i in rng.permutation(len(content['images']))]
    rank = {cat: (len(images), str(cat)) for cat, images in images_of.items()}
    # images of rare classes first; those without any last
    order.sort(key=lambda img: min((rank[cat] for cat in classes_of[img]), default=(math.inf, '')))
    parts: list[set[int]] = [set() for _ in fractions]
    for img in tick(order):
        rarest = min(classes_of[img], key=rank.get, default=None)
        lacking = lacks_images if rarest is None else lacks[rarest]
        best = np.flatnonzero(np.isclose(lacking, lacking.max()))
        best = best[np.isclose(lacks_images[best], lacks_images[best].max())]
        chosen = int(rng.choice(best))
        parts[chosen].add(img)
        lacks_images[chosen] -= 1
        for cat in classes_of[img]:
            lacks[cat][chosen] -= 1
    return parts


def csv_rows(content: Content, empty_images: bool = True) -> Iterator[list]:
    """Rows of a table, with the head line first: one for each object and, if asked, one for each image without any."""
    yield ['image_id', 'file_name', 'width', 'height', 'annotation_id', 'class', 'x', 'y', 'w', 'h', 'area', 'iscrowd']
    names = {cat['id']: cat['name'] for cat in content['categories']}
    anns_of = defaultdict(list)
    for ann in content['annotations']:
        anns_of[ann['image_id']].append(ann)
    for img in content['images']:
        head = [img['id'], img.get('file_name', ''), img.get('width', ''), img.get('height', '')]
        for ann in anns_of[img['id']]:
            box = list(ann.get('bbox') or [''] * 4)
            yield [*head, ann['id'], names[ann['category_id']], *box, ann.get('area', ''), ann.get('iscrowd', 0)]
        if empty_images and not anns_of[img['id']]:
            yield [*head, *[''] * 8]
