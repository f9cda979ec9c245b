"""Write names and sizes of the images of ``data.val`` to a file, for data sets whose annotations lack sizes (Open
Images).

    python tools/misc/get_image_metas.py CONFIG --out validation-image-metas.pkl

The annotation file is a CSV of Open Images (column ``ImageID``), a text file of its challenge, or JSON of COCO. The
result is a list of ``dict(filename=..., ori_shape=(height, width, channels))``.
"""

import argparse
import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from mmdet.apis.launch import UserError, config_from_args, reported_errors
from mmdet.utils.compat_config import compat_loader_args

import mmcv


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--out', default='validation-image-metas.pkl', help='file to write, .pkl')
    parser.add_argument('--nproc', default=4, type=int, help='images read at a time')
    parser.set_defaults(cfg_options=None)
    return parser.parse_args(argv)


def csv_names(path: str) -> list[str]:
    """Files of the images of a CSV of Open Images, each once.

    Raises:
        UserError: it has no column ``ImageID``.
    """
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        if 'ImageID' not in (reader.fieldnames or ()):
            raise UserError(f'{path}: expected a column ImageID, got {reader.fieldnames}')
        return list(dict.fromkeys(f'{row["ImageID"]}.jpg' for row in reader))


def challenge_names(path: str) -> list[str]:
    """Files of the images of a text file of Open Images' challenge: they stand below lines ``# number``."""
    lines = Path(path).read_text(encoding='utf-8').splitlines()
    return [name.strip() for mark, name in zip(lines, lines[1:]) if mark.startswith('#')]


def json_names(path: str) -> list[str]:
    """Files of the images of COCO's JSON."""
    return [image['file_name'] for image in mmcv.load(path)['images']]


READERS = {'.csv': csv_names, '.txt': challenge_names, '.json': json_names}


def image_meta(name: str, folder: str) -> dict:
    """Name and shape of an image.

    Raises:
        UserError: it cannot be read.
    """
    image = mmcv.imread(os.path.join(folder, name))
    if image is None:
        raise UserError(f'{os.path.join(folder, name)} is no image that can be read')
    return dict(filename=name, ori_shape=tuple(image.shape))


def read_metas(names: list[str], folder: str, nproc: int) -> list[dict]:
    """Name and shape of each image, ``nproc`` at a time; threads are enough, as decoding runs beside Python."""
    with ThreadPoolExecutor(max(nproc, 1)) as pool:
        return list(pool.map(partial(image_meta, folder=folder), names))


def main(argv: list[str] | None = None) -> list[dict]:
    """Run the command; gives what it writes."""
    args = parse_args(argv)
    if not args.out.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out must end in .pkl or .pickle, got {args.out}')
    val = compat_loader_args(config_from_args(args)).data.val
    if not isinstance(val, dict) or not isinstance(val.get('ann_file'), str):
        raise UserError('data.val must be one data set with one ann_file; choose one with a config of your own')
    root = val.get('data_root') or ''
    path, folder = (os.path.join(root, val.get(key) or '') for key in ('ann_file', 'img_prefix'))
    reader = READERS.get(Path(path).suffix)
    if reader is None or not Path(path).is_file():
        raise UserError(f'data.val.ann_file: expected a file ending in {", ".join(READERS)}, got {path}')
    metas = read_metas(reader(path), folder, args.nproc)
    mmcv.dump(metas, args.out)
    print(f'sizes of {len(metas)} images written to {args.out}')
    return metas


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
