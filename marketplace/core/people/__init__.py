"""People: how they prove who they are, get in for the first time, and get in again when they have forgotten how."""
