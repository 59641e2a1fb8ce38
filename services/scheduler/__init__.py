"""Scheduler: ask for a training when there is new data, when it is time, or when the market has changed."""
