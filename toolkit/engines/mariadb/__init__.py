"""MariaDB: the engine (and MySQL's addresses, which mean it): all that is its own."""
