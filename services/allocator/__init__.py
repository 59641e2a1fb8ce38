"""Allocator: how much capital each strategy may bind."""
