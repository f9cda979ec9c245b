"""From labels and detections to missing rates and suggestions, and the files that say so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.apis.label_errors import advice, annotation_files, page, tables
from mmdet.apis.label_errors.calibration import calibrate
from mmdet.apis.label_errors.labelled_images import Source, detections_of
from mmdet.apis.label_errors.matching import match_image
from mmdet.apis.label_errors.missing_rate import Rate, estimate_missing_rates
from mmdet.apis.label_errors.scoring import LEAST, score_images
from mmdet.apis.label_errors.suggestions import Report, reports_of
from mmdet.apis.report.samples import centres_outside, foreign_note, placed
from mmdet.utils import atomic_write
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.running.progress import tracked

DIRECTIVES = 'directives'  # what `apply_findings` is asked for beside suggestions


class Findings(NamedTuple):
    """What is to be said about the labels of some data sets."""

    sources: list[Source]
    rates: list[Rate]
    reports: list[Report]  # of all images, the worst first
    notes: Sequence[str] = ()  # what is odd in the results

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.sources[0].dataset.CLASSES


def look_at_labels(
    sources: Sequence[Source], results: Sequence[Sequence[Any]], least: float = LEAST, seed: int = 0
) -> Findings:
    """Compare labels with detections of a detector that was not trained on them.

    Args:
        sources: data sets.
        results: of each source, for each image, what the detector gives.
        least: probability from which on a detection leads to a suggestion.
        seed: of the intervals of the rates.

    Raises:
        MissingPackageError: cleanlab is not installed.
        ResultsError: what there is of an image is no result.
    """
    classes = sources[0].dataset.CLASSES
    images = [image for source in sources for image in source.images]
    found = []
    for image, result in zip(images, (result for of_source in results for result in of_source), strict=True):
        with placed(image.path):
            found.append(detections_of(result))
    pairs = list(zip(images, found, strict=True))
    matches = [match_image(image, one) for image, one in tracked(pairs, 'comparing detections with annotations')]
    rates = estimate_missing_rates(images, matches, classes, seed)
    probable = calibrate(images, matches, rates, len(classes))
    scores = score_images(images, probable, len(classes), least)
    infos = [info for source in sources for info in source.dataset.data_infos]
    outside = sum(centres_outside(one.boxes, info) for one, info in zip(found, infos))
    notes = foreign_note(outside, sum(len(one.scores) for one in found))
    return Findings(list(sources), rates, reports_of(images, matches, probable, scores, least), notes)


def write_findings(findings: Findings, folder: Path, crops: int = 500) -> list[Path]:
    """Write tables, rates, annotation files with suggestions marked, and the page; gives the paths.

    Args:
        findings: what to write.
        folder: is made where it is not there.
        crops: most pictures on the page.

    Raises:
        OutputPathError: a file would take the place of an original.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own_paths = _annotation_paths(findings, folder, 'suggestions')
    rows = tables.image_rows(findings.reports)
    tables.write_csv(tables.IMAGE_COLUMNS, rows, folder / 'images.csv')
    suggested = tables.suggestion_rows(findings.reports, findings.classes)
    tables.write_csv(tables.SUGGESTION_COLUMNS, suggested, folder / 'suggestions.csv')
    advice.write_rates(findings.rates, folder / 'missing_rates.json')
    with atomic_write(folder / 'images.md', encoding='utf-8') as file:
        file.write(f'# Label errors\n\n{tables.markdown(tables.RATE_COLUMNS, tables.rate_rows(findings.rates))}\n\n')
        file.write(''.join(f'{sentence}\n\n' for sentence in advice.sentences(findings.rates)))
        file.write(f'{tables.markdown(tables.IMAGE_COLUMNS, rows)}\n')
    page.write_page(findings.reports, findings.rates, findings.classes, folder / 'page.html', crops)
    paths = [
        folder / name for name in ('images.csv', 'images.md', 'suggestions.csv', 'missing_rates.json', 'page.html')
    ]
    for source, path in zip(findings.sources, own_paths):
        annotation_files.write_annotations(annotation_files.marked(source, findings.reports), path)
    return paths + own_paths


def _annotation_paths(findings: Findings, folder: Path, kind: str) -> list[Path]:
    """A file of each data set inside ``folder``.

    Raises:
        OutputPathError: it would take the place of an annotation file that was read.
    """
    paths = OutputPaths(folder, inputs=[source.ann_file for source in findings.sources])
    return [paths(f'{kind}_{source.name}.json') for source in findings.sources]


def apply_findings(findings: Findings, folder: Path, what: Sequence[str], least: float = LEAST) -> list[str]:
    """Write a new annotation file for each data set; the originals stay as they are.

    Args:
        findings: what was found.
        folder: the files are ``annotations_NAME.json`` there.
        what: ``'directives'`` gives the images the training directives that follow from the missing rates; all else
            are suggestions to carry out, see :func:`mmdet.apis.label_errors.annotation_files.accepted_names`.
        least: least probability of suggestions that are accepted by their kind.

    Returns:
        A line for each file that says what is in it.

    Raises:
        UserError: there is no such suggestion.
        OutputPathError: a file would take the place of an original.
    """
    directives = DIRECTIVES in what
    chosen = [entry for entry in what if entry != DIRECTIVES]
    accepted = annotation_files.accepted_names(annotation_files.numbered(findings.reports), chosen, least, [DIRECTIVES])
    advised = advice.advise(findings.rates) if directives else {}
    lines = []
    paths = _annotation_paths(findings, folder, 'annotations')
    for source, path in zip(findings.sources, paths):
        content, counts = annotation_files.mended(source, findings.reports, accepted)
        done = [f'{number} {kind}' for kind, number in counts.items()]
        if directives:
            own = advised.get(source.name, {})
            content, given = advice.directed(content, source, findings.reports, own)
            done += [f'{key} of {number} images' for key, number in given.items()]
        annotation_files.write_annotations(content, path)
        lines.append(f'{path}: {", ".join(done) or "nothing to change"}')
    return lines
