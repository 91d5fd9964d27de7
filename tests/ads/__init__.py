"""Tests of ads: auctions, campaigns, events, rating."""
