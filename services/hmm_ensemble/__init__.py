"""The flagship: a moving-average crossover, believed as far as the regime and the direction model let it."""
