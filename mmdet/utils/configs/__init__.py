"""Checks of configs that know nothing of detection."""
