"""What our commands, our reports and a venue's words say of the same orders, made to agree. Pure: no I/O, no clock."""
