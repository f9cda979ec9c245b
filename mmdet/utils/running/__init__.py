"""What a run stands on: the runner, loaders that resume, logs, mixed precision, wrappers of parallel processes."""
