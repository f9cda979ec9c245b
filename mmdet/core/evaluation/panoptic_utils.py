"""The number that panoptic maps are encoded with."""

# A panoptic map holds ``label + instance * INSTANCE_OFFSET`` for each pixel, so labels are below it.
INSTANCE_OFFSET = 1000
