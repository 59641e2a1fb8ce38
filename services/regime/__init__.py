"""Regime: which kind of market it is now, by the models that are believed at this position of the tape."""
