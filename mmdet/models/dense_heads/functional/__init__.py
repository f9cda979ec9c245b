"""Arithmetic that dense heads share."""
