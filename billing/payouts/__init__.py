"""What is owed to merchants and is, or is not, on its way to them."""
