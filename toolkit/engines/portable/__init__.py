"""What every engine has unless it brings something better: right everywhere through SQLAlchemy, not always fast."""
