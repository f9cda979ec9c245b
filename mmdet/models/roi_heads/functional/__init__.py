"""Arithmetic that RoI heads share."""
