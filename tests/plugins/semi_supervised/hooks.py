"""The teacher's weights are a moving average of the student's."""

import torch
from mmcv.parallel import is_module_wrapper
from mmcv.runner import HOOKS, Hook


@HOOKS.register_module()
class MeanTeacher(Hook):
    def __init__(self, momentum=0.9, interval=1):
        self.momentum, self.interval = momentum, interval

    def before_run(self, runner):
        model = runner.model.module if is_module_wrapper(runner.model) else runner.model
        if runner.iter == 0:
            self.update(model, 0)

    def after_train_iter(self, runner):
        if self.every_n_iters(runner, self.interval):
            model = runner.model.module if is_module_wrapper(runner.model) else runner.model
            runner.log_buffer.output['ema_momentum'] = self.momentum
            self.update(model, self.momentum)

    @torch.no_grad()
    def update(self, model, momentum):
        for teacher, student in zip(model.teacher.parameters(), model.student.parameters()):
            teacher.mul_(momentum).add_(student, alpha=1 - momentum)
