"""Funnels: stages in versions, what happened, and the figures of cohorts."""
