"""Execute a notebook from a command line; see `dferlib.notebook.execution.main`."""

import sys

from dferlib.notebook.execution import main

sys.exit(main())
