"""Training a two-stage detector in stages, as the ``stages`` of its config say; see docs/staged_training.md."""

import copy
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmcv
import torch.distributed as dist
from mmcv import Config, ConfigDict
from mmcv.runner import get_dist_info
from torch import Tensor, nn

from mmdet import __version__
from mmdet.apis.loaders import batch_test_pipeline, loader_args
from mmdet.apis.stage_configs import leaf_datasets, stage_config, stage_model
from mmdet.apis.stage_plan import Stage, StagePlanError, read_stages
from mmdet.apis.stage_record import StageRecord, result_settings
from mmdet.apis.test import multi_gpu_test, single_gpu_test
from mmdet.apis.train import set_random_seed, train_detector
from mmdet.datasets import build_dataloader, build_dataset
from mmdet.models import build_detector
from mmdet.utils import atomic_write, build_ddp, build_dp, compat_cfg
from mmdet.utils.checkpoints.checkpoint import load_state_dict, read_checkpoint, save_checkpoint
from mmdet.utils.checkpoints.partial_weights import load_parts
from mmdet.utils.registry import did_you_mean

LATEST = 'latest.pth'
# keys of a data set that hold one entry for each of several annotation files
KEYS_OF_PARTS = ('ann_file', 'img_prefix', 'seg_prefix')


class StagedTraining:
    """Runs the stages one after another; a run that was killed goes on in the stage where it was.

    Args:
        cfg: config with ``stages``, ``work_dir``, ``seed``, ``device`` and ``gpu_ids``; not changed.
        distributed: this is one of several processes.
        logger: gets all messages.
        timestamp: names the log files.

    Raises:
        StagePlanError: see :func:`mmdet.apis.stage_plan.read_stages`; or the folder holds a run of other stages or
            settings.
    """

    def __init__(self, cfg: Config, distributed: bool, logger: logging.Logger, timestamp: str) -> None:
        self.cfg = compat_cfg(cfg)
        self.stages = read_stages(cfg.get('stages'))
        self.distributed, self.logger, self.timestamp = distributed, logger, timestamp
        self.folder = Path(cfg.work_dir)
        # every config that a stage needs is made before the first one trains
        self.configs = {stage.name: stage_config(self.cfg, stage) for stage in self.stages}
        self._check_parts()
        self.record = StageRecord(self.folder, self.stages, result_settings(self.cfg, get_dist_info()[1]))

    def run(self) -> list[dict[str, Any]]:
        """Train and evaluate the stages that are not done yet.

        Returns:
            One row a stage and one for the whole detector: name, figures, seconds.
        """
        if get_dist_info()[0] == 0:
            self.record.write()  # what is interrupted in its first stage must not go on with other settings either
        for stage in self.stages:
            if self.record.is_done(stage.name):
                self.logger.info(f'stage {stage.name} is done; its weights are in {self._dir(stage.name)}')
                continue
            self.logger.info(f'stage {stage.name}: {describe(stage)}')
            started = time.monotonic()
            self._prepare_proposals(stage)
            self._train(stage)
            self._wait_for_all()  # the first process writes the weights that all of them read next
            self._finish(stage.name, self._evaluate_stage(stage), time.monotonic() - started)
        if not self.record.is_done('final'):
            started = time.monotonic()
            self._finish('final', self._evaluate_final(), time.monotonic() - started)
        self.logger.info(f'all stages are done:\n{self.record.table()}')
        return self.record.rows

    def _check_parts(self) -> None:
        """Every part that a stage freezes or loads is in its model, and in that of the stage it comes from.

        Raises:
            StagePlanError: one is not.
        """
        modules = {stage.name: dict(self._build(stage.name).named_modules()) for stage in self.stages}
        for stage in self.stages:
            wanted = [(stage.name, part) for part in stage.frozen]
            for source, parts in stage.weights.items():
                wanted += [(name, part) for part in parts for name in (stage.name, source) if name in modules]
            for name, part in wanted:
                if part not in modules[name]:
                    raise StagePlanError(
                        f'stage {stage.name}: the {self.configs[name].model.type} of stage {name} has no part '
                        f'{part!r}{did_you_mean(part, modules[name])}'
                    )

    def _dir(self, name: str) -> Path:
        return self.folder / name

    def _build(self, name: str) -> nn.Module:
        cfg = self.configs[name]
        return build_detector(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))

    def _weights_of(self, source: str) -> dict[str, Tensor]:
        """State dict of a stage or of a file."""
        path = self._dir(source) / LATEST if source in self.configs else source
        content = read_checkpoint(path, 'cpu', self.logger)
        return content.get('state_dict', content)

    def _train(self, stage: Stage) -> None:
        cfg = copy.deepcopy(self.configs[stage.name])
        cfg.work_dir = str(self._dir(stage.name))
        cfg.auto_resume, cfg.resume_from, cfg.load_from = True, None, None
        self._set_proposal_files(cfg, stage)
        # a stage draws the same numbers whether or not the run was interrupted before it
        set_random_seed(self.cfg.seed + self.stages.index(stage))
        model: Any = self._build(stage.name)
        model.init_weights()
        for source, parts in stage.weights.items():
            report = load_parts(model, self._weights_of(source), parts)
            self.logger.info(f'{", ".join(map(repr, parts))}: {report.text(source)}')
        dataset = build_dataset(cfg.data.train)
        model.CLASSES = dataset.CLASSES
        if cfg.get('checkpoint_config') is not None:
            cfg.checkpoint_config.meta = dict(mmdet_version=__version__, CLASSES=model.CLASSES, stage=stage.name)
        meta = dict(seed=self.cfg.seed, exp_name=stage.name, config=cfg.pretty_text)
        train_detector(model, [dataset], cfg, self.distributed, False, self.timestamp, meta)

    def _prepare_proposals(self, stage: Stage) -> None:
        """Store what the stage learns from and is evaluated on: proposals for its training and validation data."""
        if stage.proposals is None:
            return
        for split in ('train', 'val'):
            for path, dataset in self._proposal_datasets(stage.proposals, split):
                if not path.exists():
                    self.logger.info(f'writing the proposals of stage {stage.proposals} to {path}')
                    results = self._detect(self._proposal_model(stage.proposals, split), dataset)
                    if get_dist_info()[0] == 0:
                        with atomic_write(path, 'wb') as file:
                            mmcv.dump(results, file=file, file_format='pkl')
                self._wait_for_all()

    def _proposal_model(self, name: str, split: str) -> nn.Module:
        """The first stage of a trained stage; for training data it keeps as many proposals as training wants."""
        cfg = self.configs[name]
        model = stage_model(cfg.model, 'RPN') if cfg.model.type != 'RPN' else copy.deepcopy(cfg.model)
        training = self.cfg.model.train_cfg.get('rpn_proposal')
        if split == 'train' and training:
            model.test_cfg = ConfigDict(rpn=copy.deepcopy(training))
        built = build_detector(model)
        load_state_dict(built, self._weights_of(name))
        return built

    def _proposal_datasets(self, proposals: str, split: str) -> Iterator[tuple[Path, ConfigDict]]:
        """(file of the proposals, data set in test mode) for each annotation file of a split."""
        source = self.configs[proposals]
        test_pipeline = next(leaf_datasets(source.data.val)).pipeline
        for number, leaf in enumerate(leaf_datasets(copy.deepcopy(source.data[split]))):
            for part, dataset in enumerate(single_files(leaf)):
                dataset.update(pipeline=copy.deepcopy(test_pipeline), test_mode=True)
                yield self._dir(proposals) / f'proposals_{split}_{number}_{part}.pkl', dataset

    def _set_proposal_files(self, cfg: Config, stage: Stage) -> None:
        if stage.proposals is None:
            return
        for split in ('train', 'val'):
            files = [str(path) for path, _ in self._proposal_datasets(stage.proposals, split)]
            for leaf in leaf_datasets(cfg.data[split]):
                count = len(single_files(leaf))
                mine, files = files[:count], files[count:]
                leaf.proposal_file = mine if isinstance(leaf.ann_file, (list, tuple)) else mine[0]

    def _detect(self, model: Any, dataset_cfg: Any) -> list[Any] | None:
        """Results of all images; None on other processes than the first."""
        cfg = self.cfg
        args = loader_args(
            cfg.data.get('val_dataloader'), samples_per_gpu=1, workers_per_gpu=2, dist=self.distributed, shuffle=False
        )
        dataset = build_dataset(batch_test_pipeline(dataset_cfg, args['samples_per_gpu']), dict(test_mode=True))
        loader = build_dataloader(dataset, **args)
        model.CLASSES = dataset.CLASSES
        if self.distributed:
            return multi_gpu_test(build_ddp(model.to(cfg.device), cfg.device, broadcast_buffers=False), loader)
        return single_gpu_test(build_dp(model, cfg.device, device_ids=list(cfg.get('gpu_ids', [0]))), loader)

    def _evaluate_stage(self, stage: Stage) -> dict[str, float]:
        """Figures of a stage: recall of its proposals, precision of its detector, whichever it has."""
        cfg = copy.deepcopy(self.configs[stage.name])
        self._set_proposal_files(cfg, stage)
        model = self._build(stage.name)
        load_state_dict(model, self._weights_of(stage.name))
        figures = {}
        if stage.detector != 'RPN':
            figures.update(self._figures(model, cfg.data.val, self._metric()))
        if stage.detector != 'FastRCNN':
            figures.update(self._figures(self._proposal_model(stage.name, 'val'), cfg.data.val, None))
        return figures

    def _evaluate_final(self) -> dict[str, float]:
        """Put the newest weights of every part together, store them, and evaluate the whole detector."""
        model = build_detector(self.cfg.model, train_cfg=self.cfg.get('train_cfg'), test_cfg=self.cfg.get('test_cfg'))
        for stage in self.stages:
            load_state_dict(model, self._weights_of(stage.name))
        dataset = build_dataset(self.cfg.data.val, dict(test_mode=True))
        model.CLASSES = dataset.CLASSES
        if get_dist_info()[0] == 0:
            save_checkpoint(
                model, self.folder / 'final.pth', meta=dict(CLASSES=model.CLASSES, config=self.cfg.pretty_text)
            )
        figures = self._figures(model, self.cfg.data.val, self._metric())
        if 'rpn_head' in self.cfg.model:
            proposing = build_detector(stage_model(self.cfg.model, 'RPN'))
            load_state_dict(proposing, model.state_dict())
            figures.update(self._figures(proposing, self.cfg.data.val, None))
        return figures

    def _metric(self) -> str:
        return (self.cfg.get('evaluation') or {}).get('metric', 'bbox')

    def _figures(self, model: nn.Module, dataset_cfg: Any, metric: Any) -> dict[str, float]:
        """Evaluate a model on a data set; ``metric`` None means the recall of proposals."""
        results = self._detect(model, dataset_cfg)
        if results is None:
            return {}
        dataset = build_dataset(copy.deepcopy(dataset_cfg), dict(test_mode=True))
        if metric is None:
            metric = 'proposal_fast' if hasattr(dataset, 'fast_eval_recall') else 'recall'
        found = dataset.evaluate(results, metric=metric, logger=self.logger)
        return {key: float(value) for key, value in found.items() if not isinstance(value, str)}

    def _finish(self, name: str, figures: dict[str, float], seconds: float) -> None:
        if get_dist_info()[0] == 0:
            self.record.add(name, figures, seconds)
        if self.distributed:
            self._wait_for_all()
            self.record.reload()

    def _wait_for_all(self) -> None:
        if self.distributed:
            dist.barrier()


def describe(stage: Stage) -> str:
    """One line on what a stage does."""
    parts = [f'trains {stage.detector}']
    if stage.proposals:
        parts.append(f'on the proposals of {stage.proposals}')
    parts += [f'{", ".join(names) or "all"} from {source}' for source, names in stage.weights.items()]
    if stage.frozen:
        parts.append(f'frozen: {", ".join(stage.frozen)}')
    return '; '.join(parts)


def single_files(dataset: ConfigDict) -> list[ConfigDict]:
    """A data set's config, once for each of its annotation files."""
    if not isinstance(dataset.ann_file, (list, tuple)):
        return [dataset]
    parts = []
    for i in range(len(dataset.ann_file)):
        part = copy.deepcopy(dataset)
        for key in KEYS_OF_PARTS:
            if isinstance(part.get(key), (list, tuple)):
                part[key] = part[key][i]
        parts.append(part)
    return parts
