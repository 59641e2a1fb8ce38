"""Simulator: the whole system in simulated time, under faults, with its promises checked at every step."""
