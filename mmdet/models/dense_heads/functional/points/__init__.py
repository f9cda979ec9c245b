"""Points that stand for boxes: where they are, and what they become."""
