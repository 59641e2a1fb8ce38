"""Stops: every open position has its protective stop, of the right size and side; what is missing is repaired."""
