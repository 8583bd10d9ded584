"""The market study of billing software, out of the flows' own metadata (SESAM-Vitale reference §5)."""
