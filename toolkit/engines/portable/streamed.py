"""Queries whose rows are read a few at a time."""

STREAMED = "toolkit_streamed"
"""The execution option of a query: nothing else is executed on its connection until its rows are read."""
