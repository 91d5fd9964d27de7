"""Tests of payments: facts, the inbox, the commands, the simulator, settlement files."""
