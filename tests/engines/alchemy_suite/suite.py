"""All tests of dialects that come with SQLAlchemy; what of them is run, ../test_alchemy_suite.py says."""

from sqlalchemy.testing.suite import *  # noqa: F403
