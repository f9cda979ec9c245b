"""Masks that a head predicts straight from feature maps: targets, losses and instances."""
