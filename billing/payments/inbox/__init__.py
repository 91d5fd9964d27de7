"""What processors tell us, stored before it is understood: each event once, applied in any order."""
