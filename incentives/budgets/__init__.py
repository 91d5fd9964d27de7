"""Budgets as escrow: what may be given is split over rows, so that no row is hot and the limit holds exactly."""
