"""Funding guard: positions that are about to pay dear funding are trimmed or hedged before it is due."""
