"""The bank accounts that merchants are paid to, and how one replaces another."""
