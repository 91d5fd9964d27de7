"""An independent reference for the Olist job: plain Python, no SQL, no import from the product."""
