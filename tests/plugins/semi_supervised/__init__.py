"""A semi-supervised project: a student learns from labels, and from what its own moving average finds."""

from semi_supervised import data, detector, hooks  # noqa: F401 - registers
