"""`python -m kdutils COMMAND`: the command line of the course."""

import sys

from kdutils.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
