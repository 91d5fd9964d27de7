CREATE SCHEMA incentives
;;
GRANT USAGE ON SCHEMA incentives TO app_merchant, app_buyer, app_payer, app_staff, app_worker
