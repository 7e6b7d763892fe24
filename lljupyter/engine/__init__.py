"""What it costs: evaluates points of a plane, progressively."""
