"""Errors whose text says what is wrong, where, and what to do."""


class ReportedError(Exception):
    """Command lines show it as one line, without the calls that led there."""


class NonFiniteError(ReportedError, ArithmeticError):
    """Losses, gradients or weights are infinite or no numbers."""


class RunInterruptedError(ReportedError, RuntimeError):
    """The run was told to end and can go on later; commands leave with ``exit_code``."""

    exit_code: int = 75  # EX_TEMPFAIL of sysexits.h
