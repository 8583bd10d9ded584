"""Belvédère, the open observatory of French home health care."""

__version__ = "0.1.0"
