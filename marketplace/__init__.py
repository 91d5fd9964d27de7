"""The floor and the roof of the house: `core` and `web` below, flows, consoles and the command line above."""
