"""What the platform takes of settled orders."""
