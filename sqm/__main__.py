"""`python -m sqm`: the command for people without make."""

import sys

from sqm.cli import main

sys.exit(main())
