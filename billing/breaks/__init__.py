"""What does not match: named, aged, owned, and closed, accepted or written off."""
