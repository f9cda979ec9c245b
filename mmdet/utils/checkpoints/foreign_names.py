"""Which other library a checkpoint comes from, by the names of its tensors, and how it is converted."""

from collections.abc import Iterable

from mmdet.utils.tool_command import tool_command

# beginnings of names -> whose they are, and the script that converts them ('' where there is none)
_ORIGINS = (
    (('backbone.body.', 'backbone.fpn.'), "torchvision's detectors", 'torchvision2mmdet.py'),
    (('backbone.bottom_up.', 'proposal_generator.'), "Detectron2's detectors", 'detectron2_to_mmdet.py'),
    (('model.0.conv.', 'model.model.0.'), "ultralytics' YOLOs", ''),
)


def converter_advice(names: Iterable[str], filename: str) -> str:
    """How to convert a file of another library; '' where its names tell nothing.

    Args:
        names: of its tensors, those that the model does not have.
        filename: shown in the command.
    """
    names = list(names)
    for beginnings, whose, script in _ORIGINS:
        if any(name.startswith(beginnings) for name in names):
            if not script:
                return f'these are names of {whose}, which have no counterpart here'
            command = f'{tool_command(f"model_converters/{script}")} {filename} converted.pth'
            return f'these are names of {whose}; convert the file first: {command}'
    return ''
