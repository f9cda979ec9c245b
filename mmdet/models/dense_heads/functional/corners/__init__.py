"""Heat maps of points of objects, and the boxes of pairs of corners."""
