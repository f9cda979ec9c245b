"""Write the table of what the configs hold: detectors, backbones, and which heads read images' directives.

python tools/misc/model_table.py                    docs/model_zoo.md, from configs/
python tools/misc/model_table.py --folders atss ssd  the rows of these folders, on the terminal
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.models.builder import HEADS
from mmdet.models.directives import unsupported_reason
from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.configs.read_config import read_config

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'model_zoo.md'
OBEYED = 'reads the weights of the images already'
HEAD = """# Models

What the folders of [configs/](../configs) hold, written by `tools/misc/model_table.py`. *All* in the last column: with
`model.directives` every head with a loss weighs its images and reads their negatives (see
[head_weights.md](head_weights.md)); otherwise the heads that refuse, which say why when they are asked to.
Checkpoints of mmdetection 2.x load as they are.

| folder | configs | detectors | backbones | heads with directives |
| --- | --- | --- | --- | --- |
"""


class Row(NamedTuple):
    """What the configs of one folder hold."""

    folder: str
    configs: int
    detectors: list[str]
    backbones: list[str]
    refusing: list[str]  # heads with a loss that read no directives

    def __str__(self) -> str:
        heads = 'all but ' + ', '.join(self.refusing) if self.refusing else 'all'
        names = (', '.join(names) or '-' for names in (self.detectors, self.backbones))
        return f'| [{self.folder}](../configs/{self.folder}) | {self.configs} | {" | ".join(names)} | {heads} |'


def parts(value: Any, key: str = 'model') -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every dict with a ``type`` in a config's value, with the key that it stands under; the outer ones first."""
    if isinstance(value, Mapping):
        if isinstance(value.get('type'), str):
            yield key, value
        for inner, item in value.items():
            yield from parts(item, inner)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from parts(item, key)


def refuses(head: Mapping[str, Any]) -> bool:
    """Whether a head with that config computes losses of its own and has no way to read directives."""
    kind = HEADS.get(head['type'])
    computes = hasattr(kind, 'loss') and 'stages' not in head  # stages compute theirs
    return computes and unsupported_reason(kind) not in (None, OBEYED)


def row_of(folder: Path) -> Row:
    """The row of one folder.

    Raises:
        ConfigError: a config that cannot be read.
    """
    files = sorted(folder.rglob('*.py'))
    found = [pair for path in files for pair in parts(read_config(path).get('model') or {})]
    detectors, backbones = ({part['type'] for key, part in found if key == name} for name in ('model', 'backbone'))
    heads = {part['type'] for key, part in found if key.endswith('head') and refuses(part)}
    return Row(folder.name, len(files), sorted(detectors), sorted(backbones), sorted(heads))


def table(folders: Iterable[Path]) -> str:
    """The rows of folders, one a line."""
    return ''.join(f'{row_of(folder)}\n' for folder in folders)


def model_folders() -> list[Path]:
    """The folders of ``configs`` that hold models."""
    return sorted(
        path for path in (ROOT / 'configs').iterdir() if path.is_dir() and path.name not in ('_base_', 'common')
    )


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--folders', nargs='+', metavar='NAME', help='print the rows of these folders only')
    return parser.parse_args(args)


def main() -> int:
    """Run the command."""
    args = parse_args()
    if args.folders:
        print(table(ROOT / 'configs' / name for name in args.folders), end='')
        return 0
    with atomic_write(PAGE) as file:
        file.write(HEAD + table(model_folders()))
    print(f'wrote {PAGE.relative_to(ROOT)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
