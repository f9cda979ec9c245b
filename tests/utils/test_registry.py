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

    @shelf.register_module()
    class Torch(Lamp):
        """A class that hands arguments to its parent."""

        def __init__(self, battery, **kwargs):
            super().__init__(**kwargs)

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


def test_build_unknown_type_names_where_it_was_looked_for(registry):
    with pytest.raises(KeyError, match='2 names are registered, from test_registry'):
        registry[0].build(dict(type='Zzz'))


def test_build_class_of_another_registry_names_that_one(registry):
    with pytest.raises(KeyError, match='The other.* registry has a Hammer: is it under the right key'):
        other = Registry('other')
        other.register_module(name='Hammer', module=dict)
        registry[0].build(dict(type='Hammer'))


@pytest.mark.parametrize('which', [0, 1])
def test_build_unknown_scope_names_the_package_to_import(registry, which):
    with pytest.raises(KeyError, match="scope 'nobody' must be imported: custom_imports"):
        registry[which].build(dict(type='nobody.Lamp'))


def test_build_without_type_says_so(registry):
    with pytest.raises(KeyError, match="shelf registry needs the key 'type', got watts"):
        registry[0].build(dict(watts=5))


@pytest.mark.parametrize('cfg', [None, 'Lamp', 3])
def test_build_of_what_is_no_dict_is_a_type_error(registry, cfg):
    with pytest.raises(TypeError, match=r'shelf registry: expected dict\(type=...\), got '):
        registry[0].build(cfg)


def test_build_missing_argument_names_it_and_the_accepted(registry):
    with pytest.raises(TypeError, match="Lamp .* needs 'watts'; given: colour. It accepts: watts, colour"):
        registry[0].build(dict(type='Lamp', colour='red'))


def test_build_unknown_argument_handed_to_a_parent_names_all_accepted(registry):
    with pytest.raises(TypeError, match="Torch .* does not take 'wats'; did you mean 'watts'.* battery, watts, colour"):
        registry[0].build(dict(type='Torch', battery='AA', wats=5))


def test_build_missing_argument_of_a_parent_is_named(registry):
    with pytest.raises(TypeError, match="Torch .* needs 'watts'; given: battery.* battery, watts, colour"):
        registry[0].build(dict(type='Torch', battery='AA'))


def test_build_type_error_of_the_constructor_itself_comes_as_it_is(registry):
    @registry[0].register_module()
    class Clumsy:
        def __init__(self, size):
            super().__init__(size=size)

    with pytest.raises(TypeError) as caught:
        registry[0].build(dict(type='Clumsy', size=1))
    assert 'does not take' not in str(caught.value) and '[in Clumsy]' in str(caught.value)


def test_build_default_arguments_yield_to_the_config_and_may_name_the_type(registry):
    lamp = build_from_cfg(dict(watts=5), registry[0], dict(type='Lamp', watts=1, colour='red'))
    assert (lamp.watts, lamp.colour) == (5, 'red')


def test_build_by_class_needs_no_registration(registry):
    assert build_from_cfg(dict(type=dict, a=1), registry[0]) == dict(a=1)


def test_registry_lives_in_the_package_that_makes_it():
    assert Registry('somewhere').scope == __name__.partition('.')[0]
