"""Errors whose text says what is wrong, where, and what to do."""

CALLS = '(MMDET_TRACEBACK=1 shows the calls)'  # ends the line of an error whose calls may say more


class ReportedError(Exception):
    """Command lines show it as one line, without the calls that led there."""


class ResultsError(ReportedError, ValueError):
    """Results of a detector are of another form, or of other data, than what reads them."""


class MissingResultsError(ReportedError, KeyError):
    """Results do not hold what a metric reads."""

    def __str__(self) -> str:
        """The message as it is; a KeyError puts it into quotes."""
        return str(self.args[0])


class NonFiniteError(ReportedError, ArithmeticError):
    """Losses, gradients or weights are infinite or no numbers."""


class DeviceMemoryError(ReportedError, RuntimeError):
    """The device has no memory left for a training step."""


class RunInterruptedError(ReportedError, RuntimeError):
    """The run was told to end and can go on later; commands leave with ``exit_code``."""

    exit_code: int = 75  # EX_TEMPFAIL of sysexits.h
