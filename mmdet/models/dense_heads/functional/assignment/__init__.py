"""Positives that are chosen by what the head predicts."""
