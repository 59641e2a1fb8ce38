"""Feed: market data onto the tape, from a simulated market or from recorded frames."""
