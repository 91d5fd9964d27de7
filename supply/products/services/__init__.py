"""Services that the platform does for merchants, by agreement."""
