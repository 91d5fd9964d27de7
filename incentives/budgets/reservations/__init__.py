"""What grants take of budgets: reserved, then committed, released or expired; and recycled when taken back."""
