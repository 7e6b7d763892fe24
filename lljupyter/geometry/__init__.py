"""Where to look: pure functions on parameter dicts."""
