"""Risk: every intent gets exactly one verdict, with all its reasons."""
