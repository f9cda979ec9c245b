"""What the registries say of a wrong config."""

import pytest

from mmdet.utils.registry import Registry, build_from_cfg, did_you_mean, nearest


@pytest.fixture
def registry():
    shelf = Registry('shelf')
    child_of = Registry('child', parent=shelf, scope='other')

    @shelf.register_module()
    class Lamp:
        """A class with two arguments."""

        def __init__(self, watts, colour='white'):
            self.watts, self.colour = watts, colour

    @child_of.register_module()
    class Vase:
        """A class that takes anything."""

        def __init__(self, **kwargs):
            self.kwargs = kwargs

    return shelf, child_of


def test_build_known_type_gets_its_arguments(registry):
    lamp = registry[0].build(dict(type='Lamp', watts=5))
    assert (lamp.watts, lamp.colour) == (5, 'white')


def test_build_unknown_type_names_registry_and_nearest(registry):
    with pytest.raises(KeyError, match="'Lampe' is not in the shelf registry; did you mean 'Lamp'"):
        registry[0].build(dict(type='Lampe'))


def test_build_unknown_type_points_to_custom_imports(registry):
    with pytest.raises(KeyError, match='custom_imports'):
        build_from_cfg(dict(type='Zzz'), registry[0])


def test_build_in_parent_finds_the_child_class_by_its_scope(registry):
    assert registry[0].build(dict(type='other.Vase', flowers=1)).kwargs == dict(flowers=1)


def test_build_unknown_argument_names_class_and_accepted(registry):
    with pytest.raises(TypeError, match="Lamp .* does not take 'color'; did you mean 'colour'.*watts, colour"):
        registry[0].build(dict(type='Lamp', watts=5, color='red'))


def test_build_any_argument_passes_where_the_class_takes_any(registry):
    assert registry[1].build(dict(type='Vase', flowers=3)).kwargs == dict(flowers=3)


def test_nearest_ignores_letter_case():
    assert nearest('lossweight', ['LossWeight', 'colour']) == ['LossWeight']


def test_did_you_mean_only_ends_the_sentence_where_nothing_is_near():
    assert did_you_mean('qqq', ['LossWeight']) == '.'
