"""A video project: a detector within another model, frames that help the one that is looked at."""

from tracking import data, model  # noqa: F401 - registers
