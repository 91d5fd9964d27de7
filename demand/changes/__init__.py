"""Which orders have changed since figures were last made of them."""
