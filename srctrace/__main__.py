"""`python -m srctrace`, the same as `srctrace`."""

import sys

from srctrace.cli import main

sys.exit(main())
