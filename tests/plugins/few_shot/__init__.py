"""A few-shot project: base classes from many boxes, new ones from few, told apart by directions of features."""

from few_shot import data, model  # noqa: F401 - registers
