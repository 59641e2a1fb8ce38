"""Keeps the plain-process stack alive: a subset of the public process-compose format, run by one small daemon."""
