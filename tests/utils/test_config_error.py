"""Where in a config an error arose."""

import copy

import pytest

from mmdet.utils.configs.config_error import building, config_key, find, path_text
from mmdet.utils.registry import Registry


@pytest.fixture
def parts():
    """A house of rooms of lamps; its front hands settings on in a copy."""
    registry = Registry('parts')

    @registry.register_module()
    class Lamp:
        def __init__(self, watts, colour='white'):
            if watts < 0:
                raise ValueError('watts must be positive')
            if watts > 1000:
                raise FileNotFoundError(2, 'no fuse')

    @registry.register_module()
    class Room:
        def __init__(self, lamps=(), settings=None):
            self.lamps = [registry.build(lamp) for lamp in lamps]
            if settings:
                registry.build(settings['lamp'])

    @registry.register_module()
    class House:
        def __init__(self, room, settings=None, hidden=None):
            registry.build(dict(room, settings=settings) if settings else dict(room))
            if hidden:
                registry.build(dict(type='Lamp', watt=hidden))

    @registry.register_module()
    class Copier:
        """Builds what it is given from copies with further keys."""

        def __init__(self, lamp=None, room=None, settings=None):
            if lamp:
                registry.build(dict(lamp, colour='red'))
            if room:
                registry.build(dict(room, settings=copy.deepcopy(settings)))

    @registry.register_module()
    class Teacher:
        """Builds another whole, which has a name of its own."""

        def __init__(self, pupil):
            with config_key('model'):
                registry.build(pupil)

    return registry


def text_of(registry, cfg, error=KeyError):
    with pytest.raises(error) as caught, config_key('model'):
        registry.build(cfg)
    return str(caught.value)


def test_path_text_joins_keys_and_indices():
    assert path_text(('a', 2, 'b')) == '.a[2].b'


def test_find_gives_keys_of_the_same_dict_not_of_an_equal_one():
    first, second = dict(type='A'), dict(type='A')
    assert find(dict(x=[first, second]), second, lambda a, b: a is b) == ('x', 1)


def test_unknown_type_inside_lists_and_copies_is_placed(parts):
    room = dict(type='Room', lamps=[dict(type='Lamp', watts=1), dict(type='Lampe')])
    assert text_of(parts, dict(type='House', room=room)).startswith("model.room.lamps[1]: 'Lampe' is not in the parts")


def test_settings_handed_to_a_part_are_placed_where_the_user_wrote_them(parts):
    cfg = dict(type='House', room=dict(type='Room'), settings=dict(lamp=dict(type='Lamp', wats=1)))
    assert text_of(parts, cfg, TypeError).startswith('model.settings.lamp: Lamp (in ')


def test_copy_with_further_keys_is_placed_where_the_original_stands(parts):
    cfg = dict(type='Copier', lamp=dict(type='Lampe', watts=1))
    assert text_of(parts, cfg).startswith("model.lamp: 'Lampe' is not")


def test_copied_settings_are_placed_where_the_user_wrote_them(parts):
    cfg = dict(type='Copier', room=dict(type='Room'), settings=dict(lamp=dict(type='Lampe')))
    assert text_of(parts, cfg).startswith("model.settings.lamp: 'Lampe' is not")


def test_whole_inside_a_whole_has_one_name_at_the_front(parts):
    cfg = dict(type='Teacher', pupil=dict(type='Room', lamps=[dict(type='Lampe')]))
    assert text_of(parts, cfg).startswith("model.pupil.lamps[0]: 'Lampe' is not")


def test_a_part_that_the_config_does_not_show_is_placed_at_its_maker(parts):
    cfg = dict(type='House', room=dict(type='Room'), hidden=3)
    assert text_of(parts, cfg, TypeError).startswith('model: Lamp (in ')


def test_error_of_a_constructor_keeps_its_kind_and_gets_the_place(parts):
    cfg = dict(type='House', room=dict(type='Room', lamps=[dict(type='Lamp', watts=-1)]))
    assert text_of(parts, cfg, ValueError) == 'watts must be positive [in model.room.lamps[0] (Lamp)]'


def test_error_with_a_number_as_argument_stays_as_it_is(parts):
    assert text_of(parts, dict(type='Lamp', watts=2000), FileNotFoundError) == '[Errno 2] no fuse'


def test_names_of_wholes_stand_before_each_other():
    with pytest.raises(ValueError) as caught, config_key('data'), config_key('train'), building(dict(type='X')):
        raise ValueError('no')
    assert str(caught.value) == 'no [in data.train (X)]'
