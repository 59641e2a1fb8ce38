"""Portfolio: the books. Nothing appears from nowhere."""
