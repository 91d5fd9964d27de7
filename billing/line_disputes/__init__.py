"""What a merchant disputes of a line in its books: from an entry or a charge to a case, and what it is given back."""
