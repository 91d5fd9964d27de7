"""Where the money of a refund goes: back through the processor, or into the buyer's credit."""
