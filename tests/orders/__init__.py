"""Orders in motion."""
