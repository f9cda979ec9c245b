"""Write the table of what the configs hold: detectors, backbones, the directives that they read; how they learn shapes.

python tools/misc/model_table.py                    docs/model_zoo.md, from configs/
python tools/misc/model_table.py --folders atss ssd  the rows of these folders, on the terminal

Papers and what a family is good for are in ``model_notes.json`` beside this file; the figures on drawn shapes are those
of ``benchmarks/zoo_on_shapes.py``.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.core.directives import HeadDirectives
from mmdet.core.directives.keys import RPN_HEAD
from mmdet.models.builder import HEADS
from mmdet.models.directives import unsupported_reason
from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.configs.read_config import read_config

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'model_zoo.md'
NOTES = Path(__file__).with_name('model_notes.json')
RESULTS = ROOT / 'benchmarks' / 'zoo_on_shapes.json'
OBEYED = 'reads the weights of the images already'
HEAD = """# Models

What the folders of [configs/](../configs) hold, written by `tools/misc/model_table.py`. With `model.directives` (see
[head_weights.md](head_weights.md)) images weigh the losses of the heads named in the last column. *Negatives*: the head
reads `ignore_negatives` and the policies of [partial_labels.md](partial_labels.md); *classes*: which classes an image
labels, too. A head that refuses is named, and says why when it is asked to. Checkpoints of mmdetection 2.x load as they
are.

| folder | paper | good for | configs | detectors | backbones | directives |
| --- | --- | --- | --- | --- | --- | --- |
"""
LEARNT = """
## Drawn shapes

Each family trained from one of its configs, with a fourth of the channels, on 96 px images of drawn shapes:

```bash
python benchmarks/zoo_on_shapes.py --families fcos yolox solo
```

The figures say that a family learns, not which is best: a few hundred steps are enough for some and a beginning for
others, which have more of them (queries need the longest), and all share one optimizer and schedule. The teachers of
LD and LAD are the GFL and the PAA of this table. *Seconds* are those that the training got from one core. *Boxes* is
COCO's AP, *masks* that of masks; RPN has the recall of 30 proposals. A dash has the reason beside it, or *not run
yet*.

Where a figure is near zero: SSD, CenterNet and YOLOX have no trained backbone, YOLOF has nine places in such an
image, and DETR and MaskFormer are known to need hundreds of epochs. `--few 16` trains and tests on the same 16
images, which tells a family that needs more steps from one with a fault: SSD had an AP of 0.60 there after 300 steps,
YOLOF 0.80 after 450, CenterNet 0.31 (AP50 0.69) after 750, DETR 0.04 (AP50 0.12) after 600, and 0.00 at the learning
rate of the other families.

| family | config | iterations | boxes | masks | seconds |
| --- | --- | --- | --- | --- | --- |
"""


class Row(NamedTuple):
    """What the configs of one folder hold."""

    folder: str
    configs: int
    detectors: list[str]
    backbones: list[str]
    directives: list[str]  # names of heads that images weigh, and what else is read
    refusing: list[str]  # heads with a loss that read no directives
    note: Mapping[str, str]  # paper, url (none: no paper), use

    def __str__(self) -> str:
        heads = '; '.join([', '.join(self.directives)] * bool(self.directives) + [f'not {n}' for n in self.refusing])
        names = (', '.join(names) or '-' for names in (self.detectors, self.backbones))
        paper = f'[{self.note["paper"]}]({self.note["url"]})' if self.note.get('paper') else '-'
        link = f'[{self.folder}](../configs/{self.folder})'
        return f'| {link} | {paper} | {self.note["use"]} | {self.configs} | {" | ".join(names)} | {heads or "-"} |'


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


def read_by(slot: str, head: Mapping[str, Any]) -> HeadDirectives | None:
    """The directives of a head with that config in that slot of a model; None: it has none."""
    kind = HEADS.get(head['type'])
    if not hasattr(kind, 'loss') or getattr(kind, 'directive_head', None) is None or refuses(head):
        return None
    return HeadDirectives([RPN_HEAD if slot == RPN_HEAD else kind.directive_head])


def read_in_words(heads: Iterable[HeadDirectives]) -> list[str]:
    """Names of the heads that images weigh, and what else these read."""
    heads = list(heads)
    names = list(dict.fromkeys(head.names[0] for head in heads))
    read = dict(negatives=any(head.has_negatives for head in heads), classes=any(head.class_wise for head in heads))
    return [f'`{name}`' for name in names] + [name for name, is_read in read.items() if is_read]


def row_of(folder: Path) -> Row:
    """The row of one folder.

    Raises:
        ConfigError: a config that cannot be read.
        KeyError: there is no note about it.
    """
    files = sorted(folder.rglob('*.py'))
    found = [pair for path in files for pair in parts(read_config(path).get('model') or {})]
    detectors, backbones = ({part['type'] for key, part in found if key == name} for name in ('model', 'backbone'))
    heads = [(key, part) for key, part in found if key.endswith('head')]
    refusing = {part['type'] for _, part in heads if refuses(part)}
    reading = read_in_words(filter(None, (read_by(key, part) for key, part in heads)))
    note = json.loads(NOTES.read_text(encoding='utf-8')).get(folder.name)
    if note is None:
        raise KeyError(
            f'{NOTES.name} has no entry for {folder.name}: give it a paper, its url, and what it is good for'
        )
    return Row(folder.name, len(files), sorted(detectors), sorted(backbones), reading, sorted(refusing), note)


def learnt_row(family: str, entry: Mapping[str, Any]) -> str:
    """The row of a family in the table of drawn shapes."""
    config = Path(entry['config']).stem if 'config' in entry else '-'
    reason = entry.get('left_out') or entry.get('error') or (None if 'seconds' in entry else 'not run yet')
    if reason:
        return f'| {family} | {config} | - ({reason}) | - | - | - |'
    boxes = f'recall {entry["AR"]:.2f}' if 'AR' in entry else f'{entry["AP"]:.3f}' if 'AP' in entry else '-'
    masks = f'{entry["mask_AP"]:.3f}' if 'mask_AP' in entry else '-'
    return f'| {family} | {config} | {entry["iterations"]} | {boxes} | {masks} | {entry["seconds"]:.0f} |'


def learnt_table() -> str:
    """The table of drawn shapes, one family a line."""
    results = json.loads(RESULTS.read_text(encoding='utf-8'))
    return ''.join(f'{learnt_row(family, entry)}\n' for family, entry in sorted(results.items()))


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
        file.write(HEAD + table(model_folders()) + LEARNT + learnt_table())
    print(f'wrote {PAGE.relative_to(ROOT)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
