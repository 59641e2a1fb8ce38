"""Backtest: the live system on another tape, in one process, with a log, a manifest and a report."""
