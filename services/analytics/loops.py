"""The loops over every event, in C.

In:    what was built when Weir was installed.
Out:   `take` and `see`, and `BUILT`: whether they are there. Without a compiler they are not, and the loops in Python,
       which do the same, take their place.
Never: a difference in what is counted.
"""

from shared.contracts.usage import UsageEvent
from shared.usage.measures import Measures

try:
    from services.analytics.quick import learn, see, take
    learn(UsageEvent, Measures)
    BUILT = True
except (ImportError, AttributeError, TypeError):
    # not built, or structs are made in another way than the one it was written for
    BUILT = False

__all__ = ["BUILT", "see", "take"]
