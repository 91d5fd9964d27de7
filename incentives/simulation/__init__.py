"""What a promotion would have cost, had it run over recorded history: replay, scenarios, intervals, warnings."""
