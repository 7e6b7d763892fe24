"""The verbs, one a file, and the table of their options; the widget prepares its session here too."""
