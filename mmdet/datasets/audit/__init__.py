"""What is checked before the first step, and the table of the data that is printed."""
