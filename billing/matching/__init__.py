"""What outside books say against ours: items of both sides, rules, groups of what belongs together."""
