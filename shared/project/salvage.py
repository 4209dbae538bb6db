"""What is left of a file when its malformed parts are cut out, so that the other ones are checked all the same. Pure.

In:    a file with its places, paths of what is malformed.
Out:   the rest, with its places; None when something malformed is not in one of the lists that may lose items.
Never: a part that others refer to: without it they would seem to be wrong.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from shared.project.places import Key, Source

Path = tuple[Key, ...]
Of = TypeVar("Of")


def salvage(source: Source, malformed: Iterable[Path], lists: Collection[str]) -> Source | None:
    """Cuts the innermost list item that holds each malformed path. `lists`: keys of the file whose items may go."""
    cuts = {_item(source.data, path) for path in malformed}
    if not all(cut and cut[0] in lists for cut in cuts):
        return None
    data, gone = deepcopy(source.data), defaultdict[Path, list[int]](list)
    # from the end of each list, so that the places before it still hold; an item inside one that goes is gone with it
    for cut in sorted(cuts, key=lambda cut: [str(key).rjust(12) for key in cut], reverse=True):
        _drop(data, cut)
        insort(gone[cut[:-1]], int(cut[-1]))
    return Source(source.file, data, dict(_left(source.places, gone)), dict(_left(source.written, gone)))


def _item(data: Any, path: Path) -> Path:
    found, here = 0, data
    for depth, key in enumerate(path):
        if isinstance(here, list) and isinstance(key, int) and key < len(here):
            found, here = depth + 1, here[key]
        elif isinstance(here, dict) and key in here:
            here = here[key]
        else:
            # one alone may stand without a list
            break
    return path[:found]


def _drop(data: Any, cut: Path) -> None:
    for key in cut[:-1]:
        data = data[key]
    del data[cut[-1]]


def _left(places: Mapping[Path, Of], gone: Mapping[Path, Sequence[int]]) -> Iterator[tuple[Path, Of]]:
    """Places of what is left. `gone`: by list, the items that are cut out of it, in their order."""
    for path, place in places.items():
        moved = list(path)
        for depth, key in enumerate(path):
            cuts = gone.get(path[:depth])
            if cuts is not None and isinstance(key, int):
                before = bisect_left(cuts, key)
                if before < len(cuts) and cuts[before] == key:
                    break
                moved[depth] = key - before
        else:
            yield tuple(moved), place
