"""Install with ``pip install -e .`` where torch, torchvision and an mmcv 1.7.x of either kind are."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
# what a wheel carries inside the package (mmdet/utils/shipped.py finds it there)
SHIPPED = ('configs', 'tools', 'demo')


class BuildWithConfigs(build_py):
    """Puts the folders beside the package into ``mmdet/.mim``, where wheels of mmdetection 2.x have them."""

    def run(self) -> None:
        """Copy the package, and then those folders; an editable install has them beside it."""
        super().run()
        for name in () if self.editable_mode else SHIPPED:
            target = Path(self.build_lib, 'mmdet', '.mim', name)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns('__pycache__', '*.py[cod]', 'ruff.toml'))


def read_version() -> str:
    """The version, read without importing the package (which would need torch)."""
    namespace: dict = {}
    exec((ROOT / 'mmdet' / 'version.py').read_text(encoding='utf-8'), namespace)
    return namespace['__version__']


def read_requirements(name: str) -> list[str]:
    """Lines of ``requirements/<name>.txt`` without comments.

    torch, torchvision and mmcv are not among the runtime requirements: pip must never replace the builds that an
    environment has, and mmcv comes as two distributions of which either will do.
    """
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


setup(
    name='mmdet',
    version=read_version(),
    description='Detection toolbox with per-image control of what each head learns',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmdet', 'mmdet.*']),
    package_data={'mmdet': ['py.typed'], 'mmdet.apis.report': ['templates/*']},
    entry_points={'console_scripts': ['mmdet = mmdet.__main__:main']},
    cmdclass={'build_py': BuildWithConfigs},
    python_requires='>=3.10,<3.14',
    install_requires=read_requirements('runtime'),
    extras_require={
        'tests': read_requirements('tests'),
        'optional': read_requirements('optional'),
        'label_errors': read_requirements('label_errors'),
        'mim': read_requirements('mminstall'),
    },
    zip_safe=False,
)
