UPDATE billing.account SET dimension = 'charge' WHERE code IN (1100, 2200)
;;
UPDATE billing.account SET dimension = 'item' WHERE code = 1200
