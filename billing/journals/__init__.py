"""Journals by hand: proposed by one person, approved by another, posted as one entry, reversed by its mirror."""
