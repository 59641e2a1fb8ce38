"""Depeg guard: a stablecoin that leaves its peg stops, trims or hedges what depends on it."""
