"""Hooks that show what a training does; they do not change it."""
