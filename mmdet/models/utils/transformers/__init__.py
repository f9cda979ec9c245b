"""Attention, feed-forward layers and transformers."""
