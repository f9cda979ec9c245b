"""Write a config that trains on your data, and check the data.

    python tools/make_config.py --train data/mine --val data/mine_val --out my.py

Annotations are COCO JSON; a VOC folder, a file of its ImageSets/Main, or XML beside the images (LabelImg); a YOLO
data.yaml or its folder; a folder of labelme JSON; CVAT XML (for images); Label Studio JSON; CSV with a line for each
object. What is not COCO JSON is written as such once, into the folder NAME_data beside the config.
"""

import argparse
import sys
from collections.abc import Sequence

from mmdet.apis.configuring import Request, make_config
from mmdet.apis.launch import reported_errors


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--train', nargs='+', required=True, help='annotations of one or several training sets')
    parser.add_argument(
        '--images', nargs='+', default=[], help='folder of the images, for each training set or for all'
    )
    parser.add_argument('--val', help='annotations for validation; default: every fifth training image')
    parser.add_argument('--val-images', help='folder of their images')
    parser.add_argument('--out', required=True, help='the config, a file .py')
    parser.add_argument('--model', help='name or path of a config, such as faster_rcnn_r50_fpn, yolox_s')
    parser.add_argument('--small', action='store_true', help='a small model that learns from scratch on a CPU')
    parser.add_argument('--weights', help='begin from a checkpoint (a path), or a backbone (torchvision://resnet50)')
    parser.add_argument('--gpus', type=int, default=1, help='number of GPUs of the training')
    parser.add_argument('--batch', type=int, help='images a GPU; default: that of the model')
    parser.add_argument('--epochs', type=int, help='default: by the size of the data')
    parser.add_argument('--incomplete', nargs='+', default=[], help='names of training sets that miss objects')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    made = make_config(Request(**vars(parse_args(argv))))
    for note in made.notes:
        print(f'note: {note}')
    print('\n'.join([f'{made.path} is written. Next:', *(f'  {command}' for command in made.commands)]))


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
