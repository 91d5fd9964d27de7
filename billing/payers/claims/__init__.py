"""Claims on payers: numbered, sent, remitted, rejected, claimed again."""
