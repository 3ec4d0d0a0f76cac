"""What differs between two databases, as a report or as a script."""
