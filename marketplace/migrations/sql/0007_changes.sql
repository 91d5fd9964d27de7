DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_sales') THEN CREATE ROLE app_sales LOGIN NOBYPASSRLS; END IF; END $$
;;
GRANT app_sales TO CURRENT_USER
;;
GRANT USAGE ON SCHEMA core TO app_sales
;;
GRANT USAGE ON SCHEMA supply TO app_sales
;;
GRANT USAGE ON SCHEMA demand TO app_sales
;;
GRANT USAGE ON SCHEMA billing TO app_sales

;;
ALTER TABLE supply.merchant ADD COLUMN closed_on DATE
