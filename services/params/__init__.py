"""Params: which preset a strategy opens positions by, from what presets have earned in which regime."""
