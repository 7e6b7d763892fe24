"""The trial: a few batches run through model and loss, before the first point."""
