"""Readers of annotation formats other than COCO JSON."""
