"""Anchors whose places or shapes are predicted, and features that follow them."""
