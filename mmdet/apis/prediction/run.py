"""From a source to its outputs, as tools/predict.py and the scripts of demo/ do it."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mmdet.apis.image_input import VIDEO_SUFFIXES, ImageSourceError
from mmdet.apis.prediction.predictor import Prediction, Predictor, file_of
from mmdet.apis.prediction.sources import Item, Source
from mmdet.apis.prediction.writers import (
    CocoJson,
    Csv,
    Draw,
    Lines,
    OutputError,
    Pictures,
    StopShowing,
    Video,
    Window,
    Writer,
    YoloText,
    can_write_image,
)
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.running.progress import progress_bar

KINDS = ('json', 'csv', 'yolo', 'images', 'video')


class Outputs(NamedTuple):
    """What is written where."""

    out_dir: str | None = None  # folder of all kinds of output
    kinds: Sequence[str] = ()  # of KINDS; none: json, and images or a video after the source
    out_file: str | None = None  # the picture of a single image, or the video
    palette: str = 'coco'  # colours
    show: bool = False  # open a window
    wait: float = 0.0  # seconds that a picture stays in it; 0: until a key is pressed
    ann: str | None = None  # COCO file whose ids of images and categories are taken


class Summary(NamedTuple):
    """What was done."""

    images: int  # that could be read
    detections: int
    broken: list[str]  # what is wrong with the others


class Numbering:
    """Ids of images and categories: by position from 1 on, or those of a COCO file.

    Args:
        classes: names of the labels.
        ann: the file; None: by position.

    Raises:
        OutputError: the file is no annotation file, or a class of the detector is not in it.
    """

    def __init__(self, classes: Sequence[str], ann: str | None = None) -> None:
        self.ann = ann
        self.category_ids = list(range(1, len(classes) + 1))
        self._ids: dict[str, int] = {}
        if ann is None:
            return
        try:
            content = json.loads(Path(ann).read_text(encoding='utf-8'))
            self._ids = {image['file_name']: image['id'] for image in content['images']}
            known = {category['name']: category['id'] for category in content['categories']}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(f'--ann: {ann} is no COCO file with images and categories: {error!r}') from None
        missing = [name for name in classes if name not in known]
        if missing:
            raise OutputError(f'--ann: {ann} has no category {missing[0]!r} of the detector; it has {list(known)}')
        self.category_ids = [known[name] for name in classes]

    def image_id(self, item: Item, position: int) -> int:
        """Id of an image.

        Args:
            item: found in the file by its name, or by the end of its path.
            position: in the source, from 0 on.

        Raises:
            OutputError: the file does not list it.
        """
        if self.ann is None:
            return position + 1
        path = file_of(item)
        parts = path.absolute().parts if path else ()
        names = [item.name, *('/'.join(parts[i:]) for i in range(1, len(parts)))]
        found = next((self._ids[name] for name in names if name in self._ids), None)
        if found is None:
            raise OutputError(f'--ann: {self.ann} does not list the image {item.name}')
        return found

    def check(self, source: Source) -> None:
        """Look up all images of a source before the first of them is predicted on.

        Raises:
            OutputError: one is not there, or the source has frames and no files.
        """
        if self.ann is not None and source.root is None:
            raise OutputError('--ann gives ids to files; frames of a video or camera are numbered')
        if self.ann is not None:
            for position, item in enumerate(source.items()):
                self.image_id(item, position)


def run(predictor: Predictor, source: Source, outputs: Outputs) -> Summary:
    """Predict on a source and write what is asked for.

    A file that cannot be read is named on stderr and counted, and the others go on.

    Raises:
        OutputError: outputs that do not fit the source.
        ImageSourceError: no image at all could be read.
    """
    numbering = Numbering(predictor.classes, outputs.ann)
    numbering.check(source)
    writers = build_writers(predictor, source, outputs, numbering)
    images, detections, errors = 0, 0, []
    bar = progress_bar(source.length or 0)
    with ExitStack() as stack:
        for writer in writers:
            stack.callback(writer.close)
        for position, prediction in enumerate(_until_stopped(predictor, source)):
            if prediction.error is not None:
                errors.append(prediction.error)
                print(f'skipped: {prediction.error}', file=sys.stderr)
            else:
                images += 1
                detections += len(prediction.detections or ())
                if not _written(writers, prediction, numbering.image_id(prediction.item, position)):
                    break
            bar.update()
    if errors and not images:
        raise ImageSourceError(f'no image could be read (of {len(errors)}): {errors[0]}')
    return Summary(images, detections, [str(error) for error in errors])


def _until_stopped(predictor: Predictor, source: Source) -> Iterator[Prediction]:
    """Predictions; Ctrl-C ends a video or camera, whose outputs so far are finished."""
    try:
        yield from predictor(source.items())
    except KeyboardInterrupt:
        if source.fps is None:
            raise


def _written(writers: Sequence[Writer], prediction: Prediction, image_id: int) -> bool:
    """Hand a prediction to all writers; False: nobody wants more."""
    try:
        for writer in writers:
            writer.write(prediction, image_id)
    except StopShowing:
        return False
    return True


def build_writers(predictor: Predictor, source: Source, outputs: Outputs, numbering: Numbering) -> list[Writer]:
    """The writers that options ask for; a single image without any is printed.

    Raises:
        OutputError: an output does not fit the source, or many images would go nowhere.
    """
    _check_outputs(source, outputs)

    draw = partial(predictor.draw, palette=outputs.palette)
    writers: list[Writer] = []
    if outputs.out_dir:
        writers += _in_folder(outputs, predictor.classes, source, numbering, draw)
    if outputs.out_file:
        writers.append(_in_file(Path(outputs.out_file), source, draw))
    if source.length == 1 and source.fps is None and not outputs.out_dir:
        writers.append(Lines(predictor.classes))
    if outputs.show:
        writers.append(Window(draw, outputs.wait))
    return writers


def _check_outputs(source: Source, outputs: Outputs) -> None:
    unknown = [kind for kind in outputs.kinds if kind not in KINDS]
    if unknown:
        raise OutputError(f'--save {unknown[0]}: expected one of {", ".join(KINDS)}')
    if outputs.kinds and not outputs.out_dir:
        raise OutputError('--save says what is written; --out-dir must say where')
    several = source.fps is not None or source.length != 1
    if several and not (outputs.out_dir or outputs.out_file or outputs.show):
        raise OutputError('there are several images: say with --out-dir where their detections go, or give --show')
    if source.fps is None and several and outputs.out_file and not _is_video(outputs.out_file):
        raise OutputError(f'--out-file takes one image, there are {source.length}; use --out-dir')
    if outputs.out_file and not _is_video(outputs.out_file) and not can_write_image(outputs.out_file):
        raise OutputError(f'--out-file {outputs.out_file}: expected the name of an image (.png, .jpg) or of a video')


def _is_video(name: str | Path) -> bool:
    return Path(name).suffix.lower() in VIDEO_SUFFIXES


def _in_folder(
    outputs: Outputs, classes: Sequence[str], source: Source, numbering: Numbering, draw: Draw
) -> Iterator[Writer]:
    """Writers of all kinds of output inside a folder."""
    folder = Path(outputs.out_dir or '.')
    pictures = () if outputs.out_file else ('images',) if source.fps is None else ('video',)
    for kind in dict.fromkeys(outputs.kinds or ('json', *pictures)):
        if kind == 'json':
            yield CocoJson(folder, classes, numbering.category_ids)
        elif kind == 'csv':
            yield Csv(folder, classes, numbering.category_ids)
        elif kind == 'yolo':
            yield YoloText(folder, classes)
        elif kind == 'images':
            yield Pictures(OutputPaths(folder, inputs=_files_of(source)), draw)
        else:
            path = OutputPaths(folder)(f'{source.title or "detections"}.mp4', source.video)
            yield Video(path, source.fps or 1.0, draw)


def _files_of(source: Source) -> list[Path]:
    """The files of a source of files."""
    return [file for item in source.items() if (file := file_of(item))] if source.root is not None else []


def _in_file(path: Path, source: Source, draw: Draw) -> Writer:
    """The writer of one file: a video, or the picture of a single image."""
    if source.fps is not None or _is_video(path):
        path = OutputPaths(path.parent, inputs=_files_of(source))(path.name, source.video)
        return Video(path, source.fps or 1.0, draw)
    paths = OutputPaths(path.parent, inputs=_files_of(source))
    return Pictures(lambda name, origin: paths(path.name, origin), draw)
