"""Probe: minimal orders that tell how well a venue answers."""
