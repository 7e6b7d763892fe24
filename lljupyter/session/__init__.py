"""What is computed next, by whom, and when it is shown."""
