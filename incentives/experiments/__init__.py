"""Experiments: who was exposed to a promotion or held out of it, and what was found when it was over."""
