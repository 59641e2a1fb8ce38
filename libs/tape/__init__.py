"""How events travel: components, the host that runs one on the live tape, and the tape in memory."""
