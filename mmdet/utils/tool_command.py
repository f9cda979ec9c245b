"""How messages call the scripts of ``tools/``: as the user did."""

import sys
from pathlib import Path


def tool_command(script: str) -> str:
    """``'misc/browse_dataset.py'`` -> ``'python tools/misc/browse_dataset.py'``, in the command ``mmdet`` its own form.

    Args:
        script: path below ``tools/``.
    """
    if sys.argv[0].startswith('mmdet '):
        return f'mmdet {Path(script).stem.replace("_", "-")}'
    return f'python tools/{script}'
