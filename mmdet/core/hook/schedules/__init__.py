"""Hooks that change a value or a module as the training goes on."""
