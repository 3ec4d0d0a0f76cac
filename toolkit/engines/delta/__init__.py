"""Delta Lake: a directory, or a prefix in an object store, of Delta tables as a database."""
