"""The figures that data sets are evaluated by."""
