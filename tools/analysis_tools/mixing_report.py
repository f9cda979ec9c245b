"""Print what each source of a training set will contribute, before a training.

    python tools/analysis_tools/mixing_report.py CONFIG --processes 8

The table has, for each data set that ``data.train`` joins: its images; how many of them an epoch shows; its share of
those, and of the losses of both stages if all images' losses were equal but for their weights; the share of its images
whose negatives are ignored; and the classes that it has no annotations of. Warnings follow it, and advice for sources
in which objects or classes are not annotated. Images are not read.
"""

import mmdet  # noqa: I001, F401 - first: it hides an announcement of mmcv

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from mmcv import Config, DictAction

from mmdet.apis.launch import config_from_args, reported_errors
from mmdet.core.directives import ROI_HEAD, RPN_HEAD
from mmdet.datasets import build_dataset
from mmdet.datasets.mixing_report import MixtureReport, report_mixture
from mmdet.utils.compat_config import compat_loader_args

# where a sampler's config stands in `model.train_cfg` -> the head that it samples for
STAGES = {'rpn': RPN_HEAD, 'rcnn': ROI_HEAD}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of a training')
    parser.add_argument('--processes', type=int, default=1, help='number of processes (GPUs) of the training')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    return parser.parse_args(argv)


def ignoring_heads(model: dict[str, Any]) -> list[str]:
    """The heads whose samplers obey ignored negatives."""
    switches = model.get('directives')
    switch = switches is not None and switches.get('ignore_negatives', True)  # one that is absent is on
    settings = model.get('train_cfg') or {}
    found = {}
    for stage, head in STAGES.items():
        # a single-stage detector has one section, which is that of its dense head
        single = head == RPN_HEAD and 'bbox_head' in model
        section = settings if single else settings.get(stage)
        if section and any(switch or kind.endswith('WithIgnore') for kind in sampler_types(section)):
            found[head] = None
    return list(found)


def sampler_types(section: Any) -> Iterator[str]:
    """Types of the samplers of a stage; of a cascade there are several."""
    for part in section if isinstance(section, (list, tuple)) else [section]:
        yield (part.get('sampler') or {}).get('type', 'PseudoSampler')


def report(cfg: Config, processes: int) -> MixtureReport:
    """The report of a config's training set."""
    cfg = compat_loader_args(cfg)
    loader = cfg.data.train_dataloader
    settings = {key: loader[key] for key in ('source_ratio', 'repeat_factors') if loader.get(key) is not None}
    return report_mixture(
        build_dataset(cfg.data.train),
        samples_per_gpu=loader.get('samples_per_gpu', 2),
        world_size=processes,
        ignoring_heads=ignoring_heads(cfg.model),
        **settings,
    )


def main(argv: list[str] | None = None) -> MixtureReport:
    """Run the command; gives the report."""
    args = parse_args(argv)
    made = report(config_from_args(args), args.processes)
    print(made.table())
    print(made.epoch)
    for warning in made.warnings:
        print(f'WARNING {warning}')
    for advice in made.advice:
        print(f'ADVICE {advice}')
    return made


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
