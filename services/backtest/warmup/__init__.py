"""How much of the past decisions need: from how much of it on they are the same as with all of it."""
