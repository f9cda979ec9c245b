import copy
import math

import pytest
import torch
from torch import nn

from mmdet.models.domain import DomainAdaptation, ImageDomainHead, InstanceDomainHead
from mmdet.utils.checkpoints.checkpoint import load_state_dict

ALL = {
    'loss_domain_image',
    'acc_domain_image',
    'loss_domain_instance',
    'acc_domain_instance',
    'loss_domain_consistency',
    'domain_reversal',
}


def domain_part(losses):
    return {name: value for name, value in losses.items() if 'domain' in name}


def gradients(model, loss):
    grads = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, retain_graph=True)
    return {name: grad for (name, _), grad in zip(model.named_parameters(), grads)}


@pytest.mark.parametrize('detector', ['FasterRCNN', 'CascadeRCNN'])
def test_one_section_of_the_config_attaches_it_to_standard_and_cascade(build, batch, detector):
    losses = build(detector)(**batch)
    assert set(domain_part(losses)) == ALL
    assert set(losses) - ALL == set(build(detector, domain=None)(**copy.deepcopy(batch)))
    assert losses['loss_domain_image'].item() == pytest.approx(math.log(2), rel=0.05)
    assert losses['domain_reversal'].item() == 0.5


@pytest.mark.parametrize(
    'parts, names',
    [
        (dict(instance=None, consistency_weight=0), {'loss_domain_image', 'acc_domain_image', 'domain_reversal'}),
        (dict(image=None, consistency_weight=0), {'loss_domain_instance', 'acc_domain_instance', 'domain_reversal'}),
        (dict(consistency_weight=0), ALL - {'loss_domain_consistency'}),
    ],
)
def test_parts_can_be_left_out(build, batch, parts, names):
    assert set(domain_part(build(**parts)(**batch))) == names


def test_gradient_into_the_features_is_reversed_and_scaled_the_classifier_s_is_not(build, batch):
    found = {}
    for strength in (-1.0, 0.5):  # -1: no reversal
        model = build(reversal=dict(policy='constant', value=strength))
        torch.manual_seed(0)
        losses = model(**copy.deepcopy(batch))
        found[strength] = [gradients(model, losses[f'loss_domain_{part}']) for part in ('image', 'instance')]
    for plain, reversed_ in zip(found[-1.0], found[0.5]):
        assert plain['backbone.first.weight'].abs().sum() > 0
        for name in ('backbone.first.weight', 'backbone.second.weight'):
            torch.testing.assert_close(reversed_[name], -0.5 * plain[name])
        own = [name for name, grad in plain.items() if name.startswith('domain_adaptation.') and grad is not None]
        assert own
        for name in own:
            torch.testing.assert_close(reversed_[name], plain[name])


def test_features_learn_to_be_consistent_not_to_differ(build, batch):
    model = build(reversal=dict(policy='constant', value=1.0))
    torch.nn.init.normal_(model.domain_adaptation.image_head.classifier.weight, std=1.0)
    for head in (model.domain_adaptation.image_head, model.domain_adaptation.instance_head):
        head.requires_grad_(False)
    optimizer = torch.optim.SGD(model.backbone.parameters(), 0.05)
    values = []
    for _ in range(6):
        torch.manual_seed(0)
        loss = model(**copy.deepcopy(batch))['loss_domain_consistency']
        values.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert values[-1] < 0.9 * values[0]


def total(value):
    return torch.stack(list(value)).sum().item() if isinstance(value, list) else value.item()


def test_unlabelled_image_teaches_the_detector_nothing(build, batch):
    alone = {key: value[:1] for key, value in batch.items()}
    model = build()
    losses = []
    for one in (alone, batch):
        torch.manual_seed(0)
        losses.append({k: total(v) for k, v in model(**copy.deepcopy(one)).items() if 'domain' not in k})
    for name in ('loss_cls', 'loss_bbox', 'acc'):
        assert losses[1][name] == pytest.approx(losses[0][name], rel=1e-5)
    # the RPN's divisor counts one positive and one negative for each image that has none
    ratios = [losses[1][name] / losses[0][name] for name in ('loss_rpn_cls', 'loss_rpn_bbox')]
    assert ratios == pytest.approx([ratios[0]] * 2) and 0.9 < ratios[0] < 1


def test_target_images_alone_give_zero_losses_and_a_gradient_for_every_parameter(build, batch):
    target = {key: value[1:] for key, value in batch.items()}
    for detector in ('FasterRCNN', 'CascadeRCNN'):
        model = build(detector)
        loss, log = model._parse_losses(model(**copy.deepcopy(target)))
        detection = [value for name, value in log.items() if 'loss_' in name and 'domain' not in name]
        assert len(detection) >= 4 and not any(detection)
        loss.backward()
        missing = [name for name, p in model.named_parameters() if p.grad is None]
        assert missing == []


def test_images_without_proposals_keep_everything_attached(build, batch):
    model = build()
    feats = model.extract_feat(batch['img'])
    for meta in batch['img_metas']:
        meta['batch_input_shape'] = (32, 48)
    losses = model._domain_losses(feats, [torch.zeros(0, 5)] * 2, batch['img_metas'])
    assert losses['loss_domain_instance'].item() == losses['loss_domain_consistency'].item() == 0
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad is not None for p in model.domain_adaptation.parameters())


def test_strength_follows_the_progress_that_is_told_not_the_number_of_passes(build, batch):
    model = build(reversal=dict(policy='linear', value=2.0))
    for progress in (0.0, 0.25, 1.0):
        model.domain_adaptation.set_progress(progress)
        for _ in range(2):
            assert model(**copy.deepcopy(batch))['domain_reversal'].item() == 2.0 * progress
    assert build(reversal=None).domain_adaptation.reversal.policy == 'sigmoid'


def test_off_at_test_time_and_weights_load_both_ways(build, batch):
    trained, plain = build(), build(domain=None)
    report = load_state_dict(plain, trained.state_dict())
    assert report.exact
    report = load_state_dict(trained, plain.state_dict())
    assert report.missing and all(name.startswith('domain_adaptation.') for name in report.missing)
    trained.eval(), plain.eval()
    trained.domain_adaptation.forward = None  # must not be called
    with torch.no_grad():
        results = [m.simple_test(batch['img'], batch['img_metas']) for m in (trained, plain)]
    assert all((a == b).all() for one, other in zip(*results) for a, b in zip(one, other))


def test_only_the_best_proposals_and_the_chosen_maps_are_seen(build, batch):
    model = build(num_rois=3, levels=[1])
    seen = []
    model.domain_adaptation.image_head.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    model.domain_adaptation.instance_head.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    model(**batch)
    assert seen == [1, 6, 1, 6]


def test_flattened_features_are_an_option():
    head = InstanceDomainHead(4, hidden_channels=8, roi_feat_size=2)
    assert head(torch.randn(3, 4, 2, 2)).shape == (3,) and head(torch.randn(0, 4, 2, 2)).shape == (0,)
    assert [m.shape for m in ImageDomainHead(4)([torch.randn(2, 4, 3, 5)])] == [(2, 3, 5)]


def test_classifiers_begin_undecided():
    head = ImageDomainHead(4, hidden_channels=8)
    head.init_weights()
    assert head.hidden.weight.std() < 0.002
    instance = InstanceDomainHead(16, hidden_channels=64)
    before = instance.layers[0].weight.clone()
    nn.init.constant_(instance.classifier.weight, 9.0)
    instance.init_weights()
    assert instance.layers[0].weight.equal(before) and 0.02 < instance.classifier.weight.std() < 0.08


@pytest.mark.parametrize(
    'change, error, text',
    [
        (dict(image=None, instance=None), ValueError, 'at least one'),
        (dict(image=None, consistency_weight=1.0), ValueError, 'both'),
        (dict(reversal=dict(policy='sigmod')), ValueError, 'sigmoid'),
    ],
)
def test_impossible_settings_are_refused(build, change, error, text):
    with pytest.raises(error, match=text):
        build(**change)


def test_missing_domain_and_wrong_domain_are_named(build, batch):
    model = build(domain=dict(image=dict(in_channels=4)))
    batch['img_metas'][1]['domain'] = 2
    with pytest.raises(ValueError, match='0 .source. or 1'):
        model(**copy.deepcopy(batch))
    del batch['img_metas'][1]['domain']
    with pytest.raises(KeyError, match='AddFieldToImgMetas'):
        model(**batch)
    with pytest.raises(ValueError, match='feature map 2'):
        build(domain=dict(image=dict(in_channels=4), levels=[2]))(**batch)


def test_section_is_the_arguments_of_the_class(build):
    assert isinstance(build().domain_adaptation, DomainAdaptation)
    assert build(domain=None).domain_adaptation is None
