"""The permanent copy of the tape in TimescaleDB: archive, projections, rebuild and readers."""
