"""On which terms a merchant is paid out: minimum, reserve, and whether its payouts are held."""
