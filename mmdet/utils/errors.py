"""Errors whose text says what is wrong, where, and what to do."""


class ReportedError(Exception):
    """Command lines show it as one line, without the calls that led there."""
