"""Convert annotations in PASCAL VOC's XML to COCO's JSON, or to mmdetection's own pickle.

The folder is a devkit, with ``VOC2007`` and/or ``VOC2012`` in it; or one data set, with ``Annotations`` in it; or a
folder with XML files beside the images, as LabelImg writes them. For each split one file is written:
``voc07_train.json`` ..., or for one data set ``train.json`` .... Splits are the files of ``ImageSets/Main``, or any
text files with the name of an image on each line (``--splits``); a data set without ``ImageSets/Main`` goes into one
file, ``all.json``.

Boxes: VOC counts pixels from 1, and both corners belong to the box. The first pixel is the stretch from 0 to 1 here:
(xmin, ymin, xmax, ymax) becomes xyxy (xmin - 1, ymin - 1, xmax, ymax), so that a box over a whole image of w x h px
has just that width and height. What reaches out of the image is cut off.

Boxes whose corners coincide or are swapped, which have no area, are reported with their files and left out, or with
``--keep-degenerate`` written. Difficult objects are crowds in COCO's JSON (``iscrowd`` 1), which neither count as
found nor as missed, and ``bboxes_ignore`` in the pickle.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmdet.apis.launch import reported_errors
from mmdet.core.evaluation.class_names import voc_classes
from mmdet.datasets.formats.voc_xml import VocImage, parse_voc_xml
from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.progress import progress_bar

import mmcv
import numpy as np
from PIL import Image

SPLITS = ('train', 'val', 'trainval', 'test')
ALL = 'all'  # images of a data set without splits
YEARS = ('2007', '2012')
IMAGE_ENDINGS = ('.jpg', '.jpeg', '.png', '.JPG', '.JPEG', '.PNG', '.bmp', '.BMP')
KNOWN_ENDINGS = (*IMAGE_ENDINGS, '.xml')


class Source(NamedTuple):
    """One data set in VOC's layout."""

    root: str
    prefix: str  # of the image files' names in what is written


class ConvertedImage(NamedTuple):
    """One image, ready to be written."""

    filename: str
    width: int  # px
    height: int
    bboxes: np.ndarray  # (n, 4) xyxy px, from 0
    labels: np.ndarray  # (n,)
    difficult: np.ndarray  # (n,) bool
    degenerate: list[list[int]]  # corners, as written, of the boxes without area


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('devkit_path', help='devkit, or folder of one data set')
    parser.add_argument('-o', '--out-dir', help='folder for the files; default: devkit_path')
    parser.add_argument(
        '--out-format', default='pkl', choices=['pkl', 'coco'], help="mmdetection's pickle or COCO JSON"
    )
    parser.add_argument('--classes', nargs='+', help="names, in order; default: VOC's 20, or all that one data set has")
    parser.add_argument(
        '--splits', nargs='+', help=f'names of files in ImageSets/Main, or paths; default: {", ".join(SPLITS)}, or all'
    )
    parser.add_argument('--keep-degenerate', action='store_true', help='write boxes without area, too')
    return parser.parse_args(argv)


def to_zero_based(corners: np.ndarray, width: int, height: int) -> np.ndarray:
    """Corners (n, 4), counted from 1 and inclusive, as boxes (n, 4) float32 xyxy px, cut off at the image's border."""
    bboxes = corners - [1, 1, 0, 0]
    return bboxes.clip(0, [width, height, width, height]).astype(np.float32)


def convert_image(source: Source, img_id: str, classes: Sequence[str], keep_degenerate: bool) -> ConvertedImage:
    """Read and convert the annotations of one image.

    Raises:
        ValueError: an object's class is not among ``classes``; the message names the file.
    """
    path = os.path.join(annotation_folder(source.root), f'{img_id}.xml')
    xml = parse_voc_xml(path)
    for name in xml.names:
        if name not in classes:
            raise ValueError(f'{path}: class {name!r} is not among {tuple(classes)}{did_you_mean(name, classes)}')
    filename = find_image(source.root, img_id)
    width, height = image_size(xml, os.path.join(source.root, filename))
    degenerate = (xml.corners[:, 2:] <= xml.corners[:, :2]).any(1)
    kept = np.ones_like(degenerate) if keep_degenerate else ~degenerate
    labels = np.asarray([classes.index(name) for name in xml.names], dtype=np.int64)
    return ConvertedImage(
        filename=f'{source.prefix}{filename}',
        width=width,
        height=height,
        bboxes=to_zero_based(xml.corners, width, height)[kept],
        labels=labels[kept],
        difficult=xml.difficult[kept],
        degenerate=xml.corners[degenerate].tolist(),
    )


def annotation_folder(root: str) -> str:
    """The folder of the XML files of a data set: ``Annotations``, else the data set's own."""
    folder = os.path.join(root, 'Annotations')
    return folder if os.path.isdir(folder) else root


def find_image(root: str, img_id: str) -> str:
    """Name of an image file under the root, with the ending that it has; ``.jpg`` if there is none."""
    folder = 'JPEGImages/' if os.path.isdir(os.path.join(root, 'JPEGImages')) else ''
    names = [f'{folder}{img_id}{ending}' for ending in IMAGE_ENDINGS]
    return next((name for name in names if os.path.isfile(os.path.join(root, name))), names[0])


def image_size(xml: VocImage, path: str) -> tuple[int, int]:
    """Width and height, px: from the XML file or, if they are not stated there, from the image."""
    if xml.width and xml.height:
        return xml.width, xml.height
    with Image.open(path) as image:
        return image.size


def to_pickle_content(images: Sequence[ConvertedImage]) -> list[dict]:
    """Entries for ``CustomDataset``."""
    return [
        dict(
            filename=img.filename,
            width=img.width,
            height=img.height,
            ann=dict(
                bboxes=img.bboxes[~img.difficult],
                labels=img.labels[~img.difficult],
                bboxes_ignore=img.bboxes[img.difficult],
                labels_ignore=img.labels[img.difficult],
            ),
        )
        for img in images
    ]


def to_coco_content(images: Sequence[ConvertedImage], classes: Sequence[str]) -> dict:
    """Content of a COCO file; ids of images, annotations and categories count from 1."""
    content: dict = dict(
        info={},
        images=[
            dict(id=i, file_name=img.filename, width=img.width, height=img.height) for i, img in enumerate(images, 1)
        ],
        annotations=[],
        categories=[dict(id=i, name=name, supercategory='none') for i, name in enumerate(classes, 1)],
    )
    for img_id, img in enumerate(images, 1):
        for box, label, difficult in zip(img.bboxes.tolist(), img.labels.tolist(), img.difficult.tolist()):
            x1, y1, x2, y2 = box
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=img_id,
                    category_id=label + 1,
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    area=(x2 - x1) * (y2 - y1),
                    segmentation=[[x1, y1, x1, y2, x2, y2, x2, y1]],
                    iscrowd=int(difficult),
                )
            )
    return content


def read_split(root: str, split: str) -> list[str] | None:
    """Names of the images of a split: a name in ``ImageSets/Main`` or a path; None: there is no such split."""
    path = os.path.join(root, 'ImageSets', 'Main', f'{split}.txt')
    if os.path.isfile(split):
        path = split
    elif split == ALL and not os.path.isfile(path):
        return xml_names(root)
    if not os.path.isfile(path):
        return None
    # some lists have a second column, -1 or 1, as those of a single class; others have names with endings
    words = [line.split()[0] for line in mmcv.list_from_file(path, encoding='utf-8-sig') if line.strip()]
    return [word[: -len(ending)] if (ending := Path(word).suffix) in KNOWN_ENDINGS else word for word in words]


def xml_names(root: str) -> list[str]:
    """Names, without ending, of all XML files of a data set, sorted."""
    return sorted(name[: -len('.xml')] for name in os.listdir(annotation_folder(root)) if name.endswith('.xml'))


def default_splits(root: str) -> Sequence[str]:
    """The usual splits, or all images of a data set that has none."""
    return SPLITS if os.path.isdir(os.path.join(root, 'ImageSets', 'Main')) else (ALL,)


def collect_classes(root: str) -> list[str]:
    """All class names in the XML files of a data set, sorted."""
    folder = annotation_folder(root)
    return sorted(
        {name for file in xml_names(root) for name in parse_voc_xml(os.path.join(folder, f'{file}.xml')).names}
    )


def convert_split(
    sources: Sequence[Source], split: str, classes: Sequence[str], out_file: str, keep_degenerate: bool = False
) -> int:
    """Convert one split of one or several data sets into one file.

    Args:
        sources: data sets; those that do not have the split are passed over.
        split: ``'train'``, ... or the path of a list.
        classes: names; labels follow this order.
        out_file: ``.json`` for COCO's format, else a pickle.
        keep_degenerate: write boxes without area, too.

    Returns:
        Number of images; without any, nothing is written.
    """
    tasks = [(source, img_id) for source in sources for img_id in read_split(source.root, split) or ()]
    if not tasks:
        return 0
    bar, images = progress_bar(len(tasks)), []
    for source, img_id in tasks:
        images.append(convert_image(source, img_id, classes, keep_degenerate))
        bar.update()
    mmcv.mkdir_or_exist(os.path.dirname(os.path.abspath(out_file)))
    content = to_coco_content(images, classes) if out_file.endswith('.json') else to_pickle_content(images)
    mmcv.dump(content, out_file)
    report(out_file, images, classes, keep_degenerate)
    return len(images)


def report(out_file: str, images: Sequence[ConvertedImage], classes: Sequence[str], keep_degenerate: bool) -> None:
    """Say what was written, and which boxes have no area."""
    counts = np.bincount(np.concatenate([img.labels for img in images]), minlength=len(classes))
    per_class = ', '.join(f'{name} {count}' for name, count in zip(classes, counts))
    print(f'\n{out_file}: {len(images)} images, {counts.sum()} boxes ({per_class})')
    fate = 'kept' if keep_degenerate else 'left out'
    for img in images:
        for corners in img.degenerate:
            print(f'  {img.filename}: box {corners} has no area; {fate}')


def find_sources(devkit_path: str) -> dict[str, list[Source]]:
    """What to write: beginning of the files' names -> data sets that go into them.

    Raises:
        ValueError: the folder is neither a devkit nor a data set.
    """
    if os.path.isdir(os.path.join(devkit_path, 'Annotations')):
        return {'': [Source(devkit_path, '')]}
    years = [year for year in YEARS if os.path.isdir(os.path.join(devkit_path, f'VOC{year}'))]
    found = {f'voc{year[2:]}_': [Source(os.path.join(devkit_path, f'VOC{year}'), f'VOC{year}/')] for year in years}
    if len(years) == 2:
        found['voc0712_'] = [source for sources in found.values() for source in sources]
    if not found and xml_names(devkit_path):
        return {'': [Source(devkit_path, '')]}
    if not found:
        raise ValueError(
            f'{devkit_path}: expected a devkit with VOC2007 or VOC2012 in it, a data set with Annotations, JPEGImages '
            f'and ImageSets/Main, or XML files beside images; it holds {sorted(os.listdir(devkit_path))[:10]}'
        )
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Run the conversion."""
    args = parse_args(argv)
    sources_of = find_sources(args.devkit_path)
    out_dir = args.out_dir or args.devkit_path
    ending = '.json' if args.out_format == 'coco' else '.pkl'
    classes = args.classes or (collect_classes(args.devkit_path) if '' in sources_of else voc_classes())
    total = 0
    splits = args.splits or (default_splits(args.devkit_path) if '' in sources_of else SPLITS)
    for prefix, sources in sources_of.items():
        for split in splits:
            # the test images of 2007 and 2012 are never joined
            if split == 'test' and len(sources) > 1:
                continue
            out_file = os.path.join(out_dir, f'{prefix}{Path(split).stem}{ending}')
            count = convert_split(sources, split, classes, out_file, args.keep_degenerate)
            if args.splits and not count and len(sources_of) == 1:
                raise SystemExit(f'{args.devkit_path}: there is no split {split} in ImageSets/Main, nor such a file')
            total += count
    if total == 0:
        raise SystemExit(
            f'{args.devkit_path}: no split ({", ".join(splits)}) was found in ImageSets/Main; see --splits'
        )


if __name__ == '__main__':
    with reported_errors(ValueError):
        main()
