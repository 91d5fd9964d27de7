"""Incentives: rebate and threshold promotions. The chart of accounts and the statement already carry their columns."""
