"""What people agree on before matching: accounts, holidays, rules, fees."""
