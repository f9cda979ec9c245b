"""Annotations and batches in memory that processes share."""
