"""Pure mathematics of trading: indicators, features, filters, statistics."""
