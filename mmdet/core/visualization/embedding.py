"""Points of a high-dimensional space in a plane, coloured by class and by domain."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MARKERS = 'ox^sD*'


def principal_plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Projection onto the two directions of the greatest variance (PCA).

    The sign of a direction is chosen so that its entry of the greatest size is positive: equal points give equal
    pictures.

    Args:
        points: (n, d).

    Returns:
        (n, 2) coordinates, and (2,) their fractions of the variance, in [0, 1].
    """
    centred = points.astype(np.float64) - points.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((2, points.shape[1]))
    fractions = np.zeros(2)
    kept = min(2, len(sizes))
    plane[:kept] = directions[:kept]
    plane *= np.where(np.take_along_axis(plane, np.abs(plane).argmax(1)[:, None], 1) < 0, -1, 1)
    fractions[:kept] = sizes[:kept] ** 2 / max((sizes**2).sum(), 1e-12)
    return centred @ plane.T, fractions


def embedding_picture(
    path: str | Path,
    points: np.ndarray,
    labels: np.ndarray,
    domains: np.ndarray,
    class_names: Sequence[str] | None = None,
    title: str = '',
) -> None:
    """Write a PNG of points in their principal plane: coloured by class on the left, by domain on the right.

    Args:
        path: of the file; its folder is made.
        points: (n, d), n >= 1.
        labels: (n,) int in [0, K).
        domains: (n,) int >= 0; on both sides each has a marker of its own.
        class_names: K names; None: numbers.
        title: above the picture.
    """
    plane, fractions = principal_plane(points)
    figure = Figure(figsize=(11, 5), layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    figure.suptitle(title)
    palette = colormaps['tab20'] if labels.max(initial=0) >= 10 else colormaps['tab10']
    for label in np.unique(labels):
        name = class_names[label] if class_names else str(label)
        for domain in np.unique(domains[labels == label]):
            chosen = (labels == label) & (domains == domain)
            _scatter(panels[0], plane[chosen], palette(int(label) % palette.N), domain, f'{name}, domain {domain}')
    for domain in np.unique(domains):
        chosen = domains == domain
        _scatter(panels[1], plane[chosen], colormaps['Set1'](int(domain)), domain, f'domain {domain}')
    for panel, by in zip(panels, ('class', 'domain')):
        panel.set_title(f'by {by}')
        panel.set_xlabel(f'first direction, {fractions[0]:.0%} of the variance')
        panel.set_ylabel(f'second direction, {fractions[1]:.0%}')
        panel.legend(fontsize='small')
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _scatter(panel, points: np.ndarray, colour, domain: int, name: str) -> None:
    marker = MARKERS[int(domain) % len(MARKERS)]
    panel.scatter(points[:, 0], points[:, 1], s=18, color=[colour], marker=marker, alpha=0.7, label=name)
