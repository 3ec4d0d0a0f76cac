"""The same work in parts, by several processes or machines, for tables that one takes too long for."""
