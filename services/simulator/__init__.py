"""Simulator: the whole system in simulated time, under faults, with its promises checked at every step.

Real are the hosts, readers, publishers, leases and snapshots, the components and the feed, and nats-py with its wire.
Simulated are time, the socket, and the server behind it: in the same conversation that one says word for word what a
real nats-server says (tests/integration/test_simulator_server.py). One seed is one run, to the last byte.

Not simulated: a tape that loses its end (what a power cut does to it), the archive, provisioning and permissions, a
server that refuses one message amid others that it takes, and machines that are slow or out of memory.
"""
