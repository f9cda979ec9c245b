import numpy as np
import pytest
import torch

NAMES = ['rpn', 'faster_rcnn', 'fast_rcnn', 'retinanet']
PROPOSALS = [torch.tensor([[8.0, 8, 20, 20], [0, 0, 30, 30]])] * 2


@pytest.fixture(params=NAMES)
def case(request, build, batch):
    """A detector, the batch that it trains on, and the other arguments of its test."""
    given = request.param == 'fast_rcnn'
    if given:
        batch['proposals'] = PROPOSALS
    return build(request.param), batch, dict(proposals=[PROPOSALS]) if given else {}


def test_train_step_gives_loss_log_and_number_of_samples(case):
    model, batch, _ = case
    outputs = model.train_step(batch, None)
    assert outputs.keys() == {'loss', 'log_vars', 'num_samples'}
    assert outputs['num_samples'] == 2
    parts = [v for k, v in outputs['log_vars'].items() if 'loss' in k and k != 'loss']
    assert outputs['log_vars']['loss'] == pytest.approx(sum(parts))
    outputs['loss'].backward()
    assert [m['batch_input_shape'] for m in batch['img_metas']] == [(32, 48)] * 2
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_val_step_marks_the_names_of_its_log(case):
    model, batch, _ = case
    torch.manual_seed(1)
    train = model.train_step(batch, None)['log_vars']
    torch.manual_seed(1)
    assert model.val_step(batch)['log_vars'] == {f'{k}_val': v for k, v in train.items()}


def test_batch_without_any_object_is_finite_and_attached(case):
    model, batch, _ = case
    with_objects = model(**batch).keys()
    batch['gt_bboxes'] = [torch.zeros(0, 4)] * 2
    batch['gt_labels'] = [torch.zeros(0, dtype=torch.long)] * 2
    losses = model(**batch)
    assert losses.keys() == with_objects
    loss, log = model._parse_losses(losses)
    assert all(np.isfinite(list(log.values())))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_test_gives_a_result_an_image_in_pixels_of_the_original(case):
    model, batch, extra = case
    model.eval()
    with torch.no_grad():
        args = dict(img=[batch['img']], img_metas=[batch['img_metas']], return_loss=False, **extra)
        results, rescaled = model(**args), model(**args, rescale=True)
    assert len(results) == 2
    assert [m['batch_input_shape'] for m in batch['img_metas']] == [(32, 48)] * 2
    for plain, original in zip(results, rescaled):
        plain, original = np.vstack(plain), np.vstack(original)
        assert len(plain)
        np.testing.assert_allclose(original[:, :4], plain[:, :4] / 2, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(original[:, 4], plain[:, 4])


def test_forward_dummy_runs_the_network_alone(case):
    model, batch, _ = case
    assert len(model.forward_dummy(batch['img'])) >= 1


@pytest.mark.parametrize('name', ['rpn', 'faster_rcnn', 'retinanet'])
def test_augmented_test_of_equal_versions_equals_the_plain_test(build, batch, name):
    model = build(name).eval()
    img, metas = batch['img'][:1], [batch['img_metas'][0]]
    with torch.no_grad():
        (plain,) = model(img=[img], img_metas=[metas], return_loss=False, rescale=True)
        (merged,) = model(img=[img, img], img_metas=[metas, [dict(metas[0])]], return_loss=False, rescale=True)
    best, merged = np.vstack(plain), np.vstack(merged)
    best, merged = best[best[:, 4].argsort()[::-1]], merged[merged[:, 4].argsort()[::-1]]
    np.testing.assert_allclose(merged[0], best[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', ['rpn', 'retinanet'])
def test_augmented_test_without_rescale_gives_pixels_of_the_first_version(build, batch, name):
    model = build(name).eval()
    img, metas = batch['img'][:1], [batch['img_metas'][0]]
    with torch.no_grad():
        args = dict(img=[img, img], img_metas=[metas, [dict(metas[0])]], return_loss=False)
        (own,), (original,) = model(**args), model(**args, rescale=True)
    np.testing.assert_allclose(np.vstack(own)[:, :4], np.vstack(original)[:, :4] * 2, rtol=1e-5)


def test_augmented_test_undoes_the_flip(build, batch):
    model = build('rpn').eval()
    img, meta = batch['img'][:1], batch['img_metas'][0]
    with torch.no_grad():
        (plain,) = model(img=[img], img_metas=[[meta]], return_loss=False, rescale=True)
        flipped = [meta | dict(flip=True, flip_direction='horizontal')]
        (merged,) = model.aug_test([img], [flipped], rescale=True)
    np.testing.assert_allclose(merged[0, [0, 2]], 24 - plain[0, [2, 0]], rtol=1e-4)  # the original is 24 px wide


@pytest.mark.parametrize(
    'args, error, text',
    [
        (dict(img=torch.zeros(1, 3, 32, 48), img_metas=[[{}]]), TypeError, 'imgs: a test wants a list'),
        (dict(img=[torch.zeros(1, 3, 32, 48)], img_metas={}), TypeError, 'img_metas: a test wants a list'),
        (dict(img=[torch.zeros(1, 3, 32, 48)], img_metas=[[{}], [{}]]), ValueError, '1 versions .* but 2 of img_metas'),
        (dict(img=[torch.zeros(2, 3, 32, 48)] * 2, img_metas=[[{}, {}]] * 2), ValueError, 'one image at a time'),
        (
            dict(img=[torch.zeros(1, 3, 32, 48)] * 2, img_metas=[[{}]] * 2, proposals=[]),
            ValueError,
            'cannot take proposals',
        ),
    ],
)
def test_wrong_test_inputs_are_refused(build, args, error, text):
    with pytest.raises(error, match=text):
        build('rpn')(return_loss=False, **args)
