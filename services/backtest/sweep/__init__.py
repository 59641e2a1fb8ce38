"""Sweeps: the same past under many settings, and how much of the best result is luck."""
