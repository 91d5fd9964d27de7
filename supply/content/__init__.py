"""Content that wins merchants: pieces, where they were sent, how they were taken up, and partners to exchange with."""
