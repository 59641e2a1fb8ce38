"""Files that people keep market data in: what their columns, times and rows mean, and what is wrong with them."""
