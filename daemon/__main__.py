"""`python -m daemon` is `hadir`."""

import sys

from daemon.main import main

sys.exit(main())
