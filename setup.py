"""Install with ``pip install -e .`` where torch, torchvision and an mmcv 1.7.x of either kind are."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


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
