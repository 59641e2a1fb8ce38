"""Real exchanges behind ccxt, which is imported on first use: how to speak to them, and what their answers mean."""
