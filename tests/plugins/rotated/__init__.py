"""A project on rotated boxes: centre x, centre y, width, height, angle in radians."""

from rotated import boxes, data, first_stage, second_stage  # noqa: F401 - registers
