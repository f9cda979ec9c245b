"""What a config switches on in a model: memory formats, compilation, folded norms, static shapes."""
