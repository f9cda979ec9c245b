"""The function behind tools/serve.py, and its page."""

from typing import Any

import numpy as np
from torch import nn

from mmdet.apis.image_input import as_bgr
from mmdet.apis.prediction.detections import like_result
from mmdet.apis.prediction.predictor import Prediction, Predictor
from mmdet.apis.prediction.sources import Item
from mmdet.utils.errors import ReportedError

HEADER = ['class', 'score', 'x1', 'y1', 'x2', 'y2']
Answer = tuple[np.ndarray | None, list[list[str | float]]]


class MissingPackageError(ReportedError, ImportError):
    """An optional package is not installed."""


class Page:
    """Detections of the image that somebody looks at; a new threshold does not run the detector again.

    Args:
        model: from :func:`mmdet.apis.init_detector`.
        palette: colours.
    """

    def __init__(self, model: nn.Module, palette: str = 'coco') -> None:
        self._predictor = Predictor(model, score_thr=0.0)
        self._palette = palette

    def detect(self, image: np.ndarray | None) -> Prediction | None:
        """All detections of an image, (H, W, 3) uint8 RGB as browsers give it, grey or RGBA; None for None.

        Raises:
            ImageSourceError: it is no image.
        """
        if image is None:
            return None
        (prediction,) = self._predictor([Item('image', np.ascontiguousarray(as_bgr(image)[..., ::-1]))])
        if prediction.error is not None:
            raise prediction.error
        return prediction

    def show(self, prediction: Prediction | None, score_thr: float) -> Answer:
        """A picture (H, W, 3) RGB with the detections of at least ``score_thr``, and their rows, best first."""
        if prediction is None or prediction.detections is None:
            return None, []
        found = prediction.detections.select(prediction.detections.scores >= score_thr)
        shown = prediction._replace(result=like_result(found, prediction.result))
        picture = self._predictor.draw(shown, self._palette)
        best = found.select(np.argsort(-found.scores, kind='stable'))
        rows: list[list[str | float]] = [
            [self._predictor.classes[label], round(score, 3), *(round(value, 1) for value in box)]
            for label, score, box in zip(best.labels.tolist(), best.scores.tolist(), best.boxes.tolist())
        ]
        return np.ascontiguousarray(picture[..., ::-1]), rows


def build_page(model: nn.Module, score_thr: float = 0.3, title: str = 'mmdet') -> Any:
    """A gradio page: an image is dropped, a slider moved, boxes and masks are seen.

    Raises:
        MissingPackageError: gradio is not there.
    """
    try:
        import gradio
    except ImportError as error:
        raise MissingPackageError('the web page needs the package gradio: pip install "gradio>=6"') from error
    page = Page(model)

    def look(image: np.ndarray | None, threshold: float) -> tuple[Any, ...]:
        prediction = page.detect(image)
        return (prediction, *page.show(prediction, threshold))

    with gradio.Blocks(title=title, analytics_enabled=False) as blocks:
        seen = gradio.State(None)
        # the default buttons would offer to send pictures to a service
        with gradio.Row():
            image = gradio.Image(label='image', type='numpy', sources=['upload', 'clipboard'], buttons=['fullscreen'])
            picture = gradio.Image(
                label='detections', interactive=False, format='png', buttons=['download', 'fullscreen']
            )
        threshold = gradio.Slider(0, 1, value=score_thr, step=0.01, label='lowest score')
        table = gradio.Dataframe(headers=HEADER, label='detections', interactive=False)
        image.change(look, [image, threshold], [seen, picture, table])
        threshold.release(page.show, [seen, threshold], [picture, table])
    return blocks
