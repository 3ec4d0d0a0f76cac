"""The process of the command line: `toolkit`, or `python -m toolkit`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line and leave with its exit code."""
    # While libraries load, and when all is said, Ctrl-C ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from toolkit import cli

    cli.main()


if __name__ == "__main__":
    main()
