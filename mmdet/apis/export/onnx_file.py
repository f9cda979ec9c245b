"""From a program of torch.export to an ONNX file that says of itself what it needs."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from mmdet.apis.export.graph import ExportError
from mmdet.apis.export.requirements import require_onnx
from mmdet.utils.atomic_write import atomic_write

if TYPE_CHECKING:
    import onnx
    from torch.export import ExportedProgram

OPSET = 20  # DeformConv came with 19, GridSample in today's form with 20
LARGEST_FILE = 2**31 - 2**20  # bytes; protobuf holds no more, larger weights lie beside the file
IMAGES = dict(input=2, images=1)  # inputs that are images, and the axis of their heights
IMAGE = 'image'  # names inside the loop over images begin so


def onnx_model(program: 'ExportedProgram', names: Sequence[str], dynamic_batch: bool) -> 'onnx.ModelProto':
    """Translate a program.

    Args:
        program: takes ``input`` and perhaps ``sizes``; of one image, for a dynamic batch.
        names: of what it gives.
        dynamic_batch: the model takes any number of images, and works on one after the other.

    Raises:
        ExportError: the exporter cannot translate it.
    """
    require_onnx()
    from mmdet.apis.export.translations import translation_table

    inputs = [name.removeprefix(f'{IMAGE}_') for name in program.graph_signature.user_inputs]
    prefix = f'{IMAGE}_' if dynamic_batch else ''
    try:
        translated: Any = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[prefix + name for name in inputs],
            output_names=[prefix + name for name in names],
            custom_translation_table=translation_table(),
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ExportError(f'torch.onnx.export cannot translate the program: {error}') from error
    model = translated.model_proto
    return loop_over_images(model, inputs, names) if dynamic_batch else model


def loop_over_images(model: 'onnx.ModelProto', inputs: Sequence[str], outputs: Sequence[str]) -> 'onnx.ModelProto':
    """A model of one image as the body of a Scan over the images of a batch.

    Args:
        model: whose inputs and outputs have the given names with ``image_`` before, and a first axis of size 1.
        inputs: names of the batch's inputs.
        outputs: names of the batch's outputs.
    """
    from onnx import TensorProto, ValueInfoProto, helper

    body = model.graph
    weights, first = list(body.initializer), f'{IMAGE}_axis'
    del body.initializer[:]
    del body.value_info[:]
    one, unbatch, rebatch = helper.make_tensor(first, TensorProto.INT64, [1], [0]), [], []

    def as_batch(value: ValueInfoProto, name: str) -> ValueInfoProto:
        batch = ValueInfoProto()
        batch.CopyFrom(value)
        batch.name = name
        batch.type.tensor_type.shape.dim[0].ClearField('dim_value')
        batch.type.tensor_type.shape.dim[0].dim_param = 'batch'
        if name in IMAGES:
            name_sides(batch, IMAGES[name])
        return batch

    def of_one(value: ValueInfoProto) -> ValueInfoProto:
        name, inner = value.name, ValueInfoProto()
        inner.CopyFrom(value)
        inner.name = f'{name}_alone'
        del inner.type.tensor_type.shape.dim[0]
        return inner

    batch_inputs = [as_batch(value, name) for value, name in zip(body.input, inputs)]
    batch_outputs = [as_batch(value, name) for value, name in zip(body.output, outputs)]
    alone_in, alone_out = [of_one(value) for value in body.input], [of_one(value) for value in body.output]
    unbatch = [helper.make_node('Unsqueeze', [a.name, first], [v.name]) for a, v in zip(alone_in, body.input)]
    rebatch = [helper.make_node('Squeeze', [v.name, first], [a.name]) for a, v in zip(alone_out, body.output)]
    inner = helper.make_graph([*unbatch, *body.node, *rebatch], IMAGE, alone_in, alone_out)
    scan = helper.make_node('Scan', list(inputs), list(outputs), body=inner, num_scan_inputs=len(inputs))
    graph = helper.make_graph([scan], 'detector', batch_inputs, batch_outputs, [one, *weights])
    looped = helper.make_model(
        graph, opset_imports=model.opset_import, functions=model.functions, ir_version=model.ir_version
    )
    looped.producer_name, looped.producer_version = model.producer_name, model.producer_version
    return looped


def name_sides(images: 'onnx.ValueInfoProto', first: int) -> None:
    """Call those sides of the images, the axes from ``first`` on, that are variables by what they are."""
    for axis, name in ((first, 'height'), (first + 1, 'width')):
        side = images.type.tensor_type.shape.dim[axis]
        if side.HasField('dim_param'):
            side.dim_param = name


def save_onnx(model: 'onnx.ModelProto', path: str | os.PathLike[str], metadata: Mapping[str, Any]) -> None:
    """Write a model with its metadata, each value as JSON text.

    Weights of more than 2 GB are written beside it, into ``<name>.data``.
    """
    import onnx

    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
    if model.ByteSize() > LARGEST_FILE:
        onnx.save(model, os.fspath(path), save_as_external_data=True, location=f'{os.path.basename(path)}.data')
        return
    with atomic_write(path, 'wb') as file:
        file.write(model.SerializeToString())


def read_metadata(properties: Mapping[str, str]) -> dict[str, Any]:
    """What :func:`save_onnx` wrote, from the properties of a model's file."""
    return {key: json.loads(value) for key, value in properties.items()}


__all__ = ['loop_over_images', 'onnx_model', 'read_metadata', 'save_onnx']
