"""Trend: enter an established move, leave by stop, target or a bent average."""
