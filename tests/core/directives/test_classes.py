"""Images of which only some classes are annotated: which those are, and what becomes of logits."""

import pytest
import torch

from mmdet.core import directives


def test_unlabelled_classes_are_the_named_or_the_others():
    assert directives.unlabelled_classes({'labeled_classes': [2, 0]}, 4) == [1, 3]
    assert directives.unlabelled_classes({'unlabeled_classes': [3, 1, 3]}, 4) == [1, 3]
    assert directives.unlabelled_classes({'labeled_classes': []}, 2) == [0, 1]
    assert directives.unlabelled_classes({}, 2) == []
    with pytest.raises(ValueError, match="'cat' is a name that no data set has turned into a label"):
        directives.unlabelled_classes({'labeled_classes': ['cat']}, 2)
    with pytest.raises(ValueError, match='label 2 is out of range: the head has 2 classes'):
        directives.unlabelled_classes({'labeled_classes': [2]}, 2)
    with pytest.raises(ValueError, match='has both labeled_classes and unlabeled_classes'):
        directives.unlabelled_classes({'labeled_classes': [], 'unlabeled_classes': []}, 2)


def test_mask_of_unlabelled_classes_is_there_only_where_it_is_needed():
    assert directives.unlabelled_mask([{}, {'unlabeled_classes': []}], 2, torch.device('cpu')) is None
    mask = directives.unlabelled_mask([{}, {'unlabeled_classes': [1]}], 2, torch.device('cpu'))
    assert mask.tolist() == [[False, False], [False, True]]


def test_names_of_classes_become_labels():
    names = ('cat', 'dog', 'cow')
    assert directives.resolve_classes('labeled_classes', ['cow', 0], names) == [2, 0]
    with pytest.raises(ValueError, match="no class 'dgo'; did you mean 'dog'"):
        directives.resolve_classes('labeled_classes', ['dgo'], names)
    with pytest.raises(ValueError, match='label 3 is out of range'):
        directives.resolve_classes('labeled_classes', [3], names)
    in_file = {7: 1, 9: 2}.get  # category ids; 8 is of no class
    assert directives.resolve_file_classes('labeled_classes', [9, 8, 'cat', 'tree'], names, in_file) == [2, 0]
    assert directives.resolve_file_classes('labeled_classes', [1], names, None) == [1]


def test_merging_classes_with_background_leaves_the_other_probabilities():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]])
    classes = torch.tensor([[False, True], [False, False]])
    p = logits.softmax(1)
    want = torch.stack([torch.stack([p[0, 0], torch.tensor(0.0), p[0, 1] + p[0, 2]]), p[1]])
    torch.testing.assert_close(directives.background_or_any(logits, classes).softmax(1), want)


def test_sigmoids_without_classes_are_zero_and_further_channels_stay():
    logits = torch.tensor([[1.0, 2.0, 0.5]], requires_grad=True)
    scores = directives.without_classes(logits, torch.tensor([[True, False]])).sigmoid()
    assert scores[0, 0] == 0 and scores[0, 1:].equal(logits[0, 1:].sigmoid())
    scores.sum().backward()
    assert logits.grad[0, 0] == 0 < logits.grad[0, 1]
