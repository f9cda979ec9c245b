"""Reading, writing and converting of checkpoints."""
