"""What a run checks before it starts: keys of its config, metrics of its data sets, checkpoints."""
