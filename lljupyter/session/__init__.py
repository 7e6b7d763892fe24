"""Sessions: the order of the work, the thread that does it, and the updates it publishes."""
