"""Puts the packages together into a node, and injects what an arrow between packages forbids."""
