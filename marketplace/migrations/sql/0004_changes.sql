UPDATE billing.account SET dimension = 'charge' WHERE code IN (1100, 2200)
