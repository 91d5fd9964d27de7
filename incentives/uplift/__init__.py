"""What a promotion has changed, measured against those that it did not reach. Statistics: floats, never money."""
