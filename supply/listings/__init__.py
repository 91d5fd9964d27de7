"""What merchants sell: listings."""
