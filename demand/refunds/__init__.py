"""What buyers get back of their orders, under which policy, and what they dispute at their bank."""
