"""What a run stands on: the runner, loaders that resume, logs, mixed precision and the wrappers of parallel processes."""
