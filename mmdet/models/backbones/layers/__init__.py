"""Blocks that backbones are made of."""
