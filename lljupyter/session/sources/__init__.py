"""What is evaluated beside the points of the grid: checkpoints, previews, refinements, faster strategies."""
