"""What the methods of 2.x that export to ONNX say here."""

from typing import Any


def refuse_export(self: Any, *args: Any, **kwargs: Any) -> None:
    """Not offered: mmdetection 2.x exported to ONNX by this method.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(
        f'{type(self).__name__} cannot be exported to ONNX; what 2.x had for it and is not there is listed in '
        'docs/migrating.md'
    )
