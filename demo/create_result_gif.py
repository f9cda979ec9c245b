"""Join pictures, such as those of ``tools/test.py --show-dir``, to an animated GIF; the options of mmdetection 2.x."""

import argparse
import sys
from pathlib import Path

from mmdet.apis.image_input import images_below
from mmdet.apis.launch import reported_errors
from mmdet.utils.output_paths import OutputPaths

from PIL import Image

SECONDS_EACH = 2
WIDEST = 1280  # px; a GIF of large pictures would be large


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Join pictures to an animated GIF')
    parser.add_argument('image_dir', help='folder with the pictures, taken in the order of their names')
    parser.add_argument('--out', default='result.gif', help='the GIF')
    return parser.parse_args(argv)


def frames(folder: str) -> list[Image.Image]:
    """The pictures of a folder, all of the size of the first, on black where their shape differs."""
    pictures = [Image.open(path).convert('RGB') for path in images_below(folder)]
    pictures[0].thumbnail((WIDEST, WIDEST))
    size = pictures[0].size
    joined = []
    for picture in pictures:
        picture.thumbnail(size)
        canvas = Image.new('RGB', size)
        canvas.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
        joined.append(canvas)
    return joined


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    out = Path(args.out)
    path = OutputPaths(out.parent, inputs=images_below(args.image_dir))(out.name)
    first, *others = frames(args.image_dir)
    first.save(path, save_all=True, append_images=others, duration=1000 * SECONDS_EACH, loop=0)
    print(f'{args.out}: {1 + len(others)} pictures')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
