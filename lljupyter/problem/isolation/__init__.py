"""The private copy of a model and what could leak between it and the person's: functions, memory, state."""
