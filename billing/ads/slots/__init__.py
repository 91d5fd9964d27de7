"""Slots of time: the calendar of a placement and who has booked what of it."""
