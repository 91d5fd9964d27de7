"""Payment processors: one interface, what goes over the wire, and the connection to a real one or to the simulator."""
