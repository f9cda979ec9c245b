"""Modules of the user: importing them, and finding what was not imported."""

import sys

import pytest

from mmdet.utils.configs.config_error import ConfigImportError, ConfigTypeError
from mmdet.utils.configs.custom_imports import PACKAGE, files_with_class, import_custom_modules, where_it_stands
from mmdet.utils.registry import Registry

LAMP = """
from mmdet.models.builder import MODELS
class Lantern:
    class Bulb: pass
"""


@pytest.fixture
def own_parts(tmp_path, monkeypatch):
    """A package ``own_parts`` with a module that is imported and one that is not; forgotten afterwards."""
    folder = tmp_path / 'own_parts'
    (folder / 'deep').mkdir(parents=True)
    for file in (folder / '__init__.py', folder / 'deep/__init__.py', folder / 'first.py'):
        file.write_text('')
    (folder / 'deep/lantern.py').write_text(LAMP)
    (folder / 'vase.py').write_text("SHELF.register_module(name='Vase')(dict)\n")
    (folder / 'broken.py').write_text('import surely_not_installed\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    import_custom_modules(dict(custom_imports=dict(imports=['own_parts.first'])))
    yield folder
    for name in [name for name in sys.modules if name.startswith('own_parts')]:
        del sys.modules[name]


def test_import_custom_modules_imports_them(own_parts):
    import_custom_modules(dict(custom_imports=dict(imports='own_parts.deep.lantern')))
    assert sys.modules['own_parts.deep.lantern'].Lantern


@pytest.mark.parametrize('value', ['own_parts.first', ['own_parts.first']])
def test_custom_imports_that_are_no_dict_are_told(value):
    with pytest.raises(ConfigTypeError, match=r"^custom_imports: expected a dict .*imports=\['own_parts.first'\]"):
        import_custom_modules(dict(custom_imports=value))


def test_package_of_a_plugin_is_imported(own_parts):
    import_custom_modules(dict(plugin=False, plugin_dir='own_parts/deep/lantern/'))
    assert 'own_parts.deep.lantern' not in sys.modules
    import_custom_modules(dict(plugin=True, plugin_dir='own_parts/deep/lantern/'))
    assert sys.modules['own_parts.deep.lantern'].Lantern
    with pytest.raises(ValueError, match='plugin_dir must name'):
        import_custom_modules(dict(plugin=True))
    with pytest.raises(ConfigImportError, match="plugin_dir: there is no module 'own_parts.none'"):
        import_custom_modules(dict(plugin=True, plugin_dir='own_parts/none'))


def test_missing_package_tells_of_the_path():
    wrong = dict(custom_imports=dict(imports=['no_such_parts.lantern']))
    with pytest.raises(ImportError, match=r"^custom_imports: there is no module 'no_such_parts.lantern'; .*PYTHONPATH"):
        import_custom_modules(wrong)


def test_missing_module_of_a_package_is_named(own_parts):
    with pytest.raises(ImportError, match="'own_parts.deep' is there and has no 'lamb'"):
        import_custom_modules(dict(custom_imports=dict(imports=['own_parts.deep.lamb'])))


def test_error_inside_a_module_comes_as_it_is(own_parts):
    with pytest.raises(ModuleNotFoundError, match='surely_not_installed'):
        import_custom_modules(dict(custom_imports=dict(imports=['own_parts.broken'])))


def test_allowed_failure_is_a_warning():
    settings = dict(imports=['no_such_parts'], allow_failed_imports=True)
    with pytest.warns(UserWarning, match='no_such_parts is left out'):
        import_custom_modules(dict(custom_imports=settings))


def test_class_in_a_module_that_was_not_imported_is_found(own_parts):
    text = where_it_stands('Lantern', [])
    assert str(own_parts / 'deep/lantern.py') in text and "imports=['own_parts.deep.lantern']" in text


def test_registered_name_is_found_and_inner_classes_are_not(own_parts):
    places = {'own_parts': own_parts / '__init__.py'}
    assert list(files_with_class('Vase', places)) == ['own_parts.vase']
    assert files_with_class('Bulb', places) == {}


def test_imported_class_without_decorator_is_told_so(own_parts):
    import_custom_modules(dict(custom_imports=dict(imports=['own_parts.deep.lantern'])))
    text = where_it_stands('Lantern', [])
    assert 'own_parts.deep.lantern has a Lantern, and is imported, but does not register it' in text


def test_file_of_the_tree_that_nobody_imports_names_its_init(monkeypatch):
    monkeypatch.delitem(sys.modules, 'mmdet.models.necks.pafpn', raising=False)
    text = where_it_stands('PAFPN', [])
    assert str(PACKAGE / 'models/necks/pafpn.py') in text and 'a line in mmdet/models/necks/__init__.py' in text


def test_unknown_type_says_where_its_class_stands(own_parts):
    with pytest.raises(KeyError, match=r'There is a Lantern in .*lantern.py, which is not imported: custom_imports='):
        Registry('shelf').build(dict(type='Lantern'))
