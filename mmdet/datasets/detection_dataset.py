"""What training and testing ask of a data set: the type of every one that a config builds."""

from collections.abc import Sequence
from typing import Any, Protocol


class DetectionDataset(Protocol):
    """A data set with classes and an evaluation.

    ``CustomDataset``, its subclasses and the wrappers are such; a user's own one need not derive from them.
    """

    CLASSES: Sequence[str] | None

    def __len__(self) -> int: ...

    def __getitem__(self, idx: int, /) -> Any:
        """A sample, as the pipeline leaves it."""

    def evaluate(self, results: Sequence[Any], /, **kwargs: Any) -> dict[str, Any]:
        """Figures by name; ``results`` has one entry an image."""
        ...

    def format_results(self, results: Sequence[Any], /, **kwargs: Any) -> Any:
        """Write ``results`` as files for a test server."""
