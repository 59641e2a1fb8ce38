"""Bars: closed bars of trades or mid prices, gaps filled explicitly."""
