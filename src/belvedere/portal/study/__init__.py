"""The market study on screen, in print and in files."""
