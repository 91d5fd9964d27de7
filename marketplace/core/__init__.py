"""The floor: money, time, identity, the database and what every write needs. Knows nothing of the business."""
