"""Tax documents: invoices, credit notes and self-billed invoices, numbered without gaps, and how they look."""
