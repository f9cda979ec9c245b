"""The families whose exported files are compared with torch: none of configs/ is forgotten, and what a row says."""

import importlib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def load():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'benchmarks'))
        yield importlib.import_module


def test_every_folder_of_configs_has_a_family_or_the_detectors_of_others(load):
    families = load('export_families')
    folders = {path.name for path in (ROOT / 'configs').iterdir() if path.is_dir()} - {'_base_', 'common'}
    own = {family.config.split('/')[0] for family in families.FAMILIES.values()}
    assert own | set(families.SAME_DETECTORS) == folders and not own & set(families.SAME_DETECTORS)
    assert all((ROOT / 'configs' / family.config).is_file() for family in families.FAMILIES.values())


def test_every_row_of_the_page_is_a_family_with_its_config(load):
    parity = load('export_parity')
    table = (ROOT / 'docs/deployment.md').read_text().split(parity.MARKS[0])[1].split(parity.MARKS[1])[0]
    rows = [line.split('|')[1:3] for line in table.strip().splitlines()[2:]]
    assert len(rows) >= 13
    assert all(parity.FAMILIES[name.strip()].config == config.strip(' `') for name, config in rows)


@pytest.mark.parametrize(
    ('found', 'text'),
    [
        (dict(box=0.009, score=1e-5, box_of_torch=0, score_of_torch=0), 'equal: boxes 0.009 px, scores 1e-05'),
        (dict(box=0.02, score=1e-5, box_of_torch=0.1, score_of_torch=1e-5), 'as torch itself: boxes 0.02 px'),
        (dict(box=0.02, score=1e-5, box_of_torch=0.01, score_of_torch=1), 'differs: boxes 0.02 px'),
        (dict(box=np.inf, score=np.inf, box_of_torch=0, score_of_torch=0), 'differs: other classes are among the best'),
    ],
)
def test_row_says_equal_only_within_the_tolerances(load, found, text):
    row = load('export_parity').row('RPN', dict(config='c.py', outputs=['dets'], sides=1, number=7, **found))
    assert f'| {text}' in row and row.endswith('7 detections |')
    nothing = dict.fromkeys(('box', 'score', 'box_of_torch', 'score_of_torch'), np.inf)
    row = load('export_parity').row('RPN', dict(config='c.py', outputs=['dets'], sides=1, number=7, **nothing))
    assert '| cannot be told: rounding alone changes' in row


def test_detections_that_a_threshold_or_a_limit_took_by_rounding_are_left_out(load):
    parity = load('export_parity')
    torch_has = np.array([[0, 0, 9, 9, 0.7501], [5, 5, 20, 20, 0.7502], [1, 1, 4, 4, 0.76], [2, 2, 8, 8, 0.9]])
    file_has = torch_has[1:]  # the first fell below the threshold by rounding
    assert parity.differences([torch_has], [file_has])['box'] == np.inf
    same = parity.compared([torch_has], [file_has])
    assert (same['number'], same['box'], same['score']) == (2, 0, 0)
    masks = [np.eye(4, dtype=bool)] * 4
    same = parity.compared(([torch_has], [masks]), ([file_has], [[*masks[:2], ~masks[2]]]))
    assert (same['number'], same['masks']) == (2, 1.0)  # the masks of these two
    assert parity.compared([torch_has], [torch_has])['number'] == 4
    assert parity.compared([torch_has], [torch_has[:3]])['box'] == np.inf  # the best is missing
    assert parity.compared([torch_has[:1]], [torch_has[:0]])['box'] == np.inf


def test_detections_of_equal_score_are_compared_in_any_order(load):
    parity = load('export_parity')
    boxes = np.array([[0, 0, 9, 9, 0.5], [5, 5, 20, 20, 0.5], [1, 1, 4, 4, 0.25]])
    same = parity.differences([boxes], [boxes[[1, 0, 2]]])
    assert (same['number'], same['box'], same['score']) == (3, 0, 0)
    moved = boxes + [[0, 0, 0.5, 0, 0], [0, 0, 0, 0, 0.125], [0, 0, 0, 0, 0]]
    other = parity.differences([boxes], [moved])
    assert (other['box'], other['score']) == (0.5, 0.125)
    assert parity.differences([boxes], [boxes[:2]])['box'] == np.inf


def test_models_are_refused_before_they_are_traced_or_have_scores_and_offsets_that_are_spread(load):
    parity = load('export_parity')
    with pytest.raises(parity.ExportError, match='MaskScoringRoIHead has a simple_test_mask of its own'):
        parity.narrow_detector(parity.FAMILIES['Mask Scoring R-CNN'])
    detector = parity.narrow_detector(parity.FAMILIES['GHM'])
    outputs = []
    detector.bbox_head.retina_cls.register_forward_hook(lambda *call: outputs.append(call[2].flatten()))
    with parity.torch.no_grad():
        detector(return_loss=False, **parity.batch(parity.SPREAD_OVER, (256, 320)))
    scores = parity.torch.cat(outputs)
    assert (scores.mean().item(), scores.std().item()) == pytest.approx(parity.LOGITS, rel=0.1)
