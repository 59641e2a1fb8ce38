"""Trainer: fit models to market history in a process of its own, and keep the registry of models."""
