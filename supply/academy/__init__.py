"""The academy: courses online and in class, who of a merchant has passed them, and until when that counts."""
