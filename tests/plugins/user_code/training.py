"""A runner, a hook, an optimizer constructor, a learning rate policy."""

from mmcv.runner import HOOKS, EpochBasedRunner, Hook, LrUpdaterHook
from mmcv.runner.builder import RUNNERS
from mmcv.runner.optimizer import DefaultOptimizerConstructor

from mmdet.core.optimizers.builder import OPTIMIZER_BUILDERS


@RUNNERS.register_module()
class CountingRunner(EpochBasedRunner):
    """An epoch as ever, with a count of the images seen."""

    images = 0

    def run_iter(self, data_batch, train_mode, **kwargs):
        self.images += len(data_batch['img_metas'].data[0])
        super().run_iter(data_batch, train_mode, **kwargs)


@HOOKS.register_module()
class NoteHook(Hook):
    """Writes a file with what it saw."""

    def __init__(self, note='note.txt'):
        self.note = note

    def after_train_iter(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        runner.log_buffer.update(dict(seen=float(runner.images), extra=float(model.last_extra)))

    def after_run(self, runner):
        with open(f'{runner.work_dir}/{self.note}', 'a') as file:
            file.write(
                f'{runner.epoch} {runner.iter} {runner.current_lr()[0]:.4f} {len(runner.optimizer.param_groups)}\n'
            )


@OPTIMIZER_BUILDERS.register_module()
class SlowBackbone(DefaultOptimizerConstructor):
    """The backbone's parameters are a group with a rate of its own."""

    def __call__(self, model):
        cfg = self.optimizer_cfg.copy()
        model = getattr(model, 'module', model)
        slow = [p for n, p in model.named_parameters() if n.startswith('backbone') and p.requires_grad]
        rest = [p for n, p in model.named_parameters() if not n.startswith('backbone') and p.requires_grad]
        from torch.optim import SGD

        assert cfg.pop('type') == 'SGD'
        factor = self.paramwise_cfg.get('backbone_factor', 0.1)
        return SGD([dict(params=rest), dict(params=slow, lr=cfg['lr'] * factor)], **cfg)


@HOOKS.register_module()
class HalvingLrUpdaterHook(LrUpdaterHook):
    """Half the rate with every iteration; ``policy='Halving'``."""

    def get_lr(self, runner, base_lr):
        return base_lr * 0.5**runner.iter
