"""Clock: the only source of "now" on the tape."""
