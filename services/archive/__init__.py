"""Archive: the permanent copy of the tape."""
