"""Discounts at checkout: quoted, reserved, paid, taken back."""
