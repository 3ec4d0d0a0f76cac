"""Servers that tests talk to, each a real one that starts here by itself."""
