"""Exchanges: what they list, and a simulated one."""
