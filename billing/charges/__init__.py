"""What merchants are charged for products: tools, hardware, managed services."""
