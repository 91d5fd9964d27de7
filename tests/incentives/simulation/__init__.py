"""What replays and simulations say, against what was computed by hand or by the rules alone."""
