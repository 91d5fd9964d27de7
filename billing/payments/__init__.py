"""What buyers pay, over all merchants at once: payments, their parts by order, and what a processor is told."""
