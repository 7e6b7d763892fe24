"""The notebook side: the widget, its wire format and the extension."""
