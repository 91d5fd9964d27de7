"""The rule model of promotions and the engine that evaluates it: pure, the same for live, dry run and replay."""
