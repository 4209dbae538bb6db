"""Descriptors: each connection takes one, and a process that has none left cannot even say so.

In:    the limit that the system has set for this process.
Out:   all of it that may be had; how many connections callers may have, so that the broker, the store and whoever asks
       whether the process lives still get theirs.
Never: a wait for one.
"""

import resource

# health, broker, store, files that are open for a moment
_OWN = 128


def take_all() -> None:
    """Raise this process's own limit to what it may be at the most: shells give 1,024 unless they are asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # some systems take less than they say
            return


def for_callers() -> int:
    """How many connections callers may have at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - _OWN, soft // 2)
