"""Drift: say when the market no longer is as it was when the model that is believed was trained."""
