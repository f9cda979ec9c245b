"""Parts of a run that a user wrote, found by ``plugin=True``."""

from user_code import parts, training  # noqa: F401 - registers
