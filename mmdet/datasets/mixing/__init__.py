"""Mixtures of data sets: label spaces, sources, partial labels, and the report on them."""
