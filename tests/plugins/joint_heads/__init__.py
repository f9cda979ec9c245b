"""Heads of several kinds over one pyramid; what one matches is asked of another."""

from joint_heads import model  # noqa: F401 - registers
