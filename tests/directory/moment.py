"""What the tests of keys take for now."""

from __future__ import annotations

import time

# In an hour: what GnuPG makes meanwhile, however late in a long run, is of the past.
NOW = int(time.time() * 1000) + 3_600_000
