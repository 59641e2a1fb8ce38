"""Chaos: the real stack on recorded frames, while its processes are killed, paused and restarted."""
