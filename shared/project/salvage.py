"""What is left of a file when its malformed parts are cut out, so that the other ones are checked all the same. Pure.

In:    a file with its places, paths of what is malformed.
Out:   the rest, with its places; None when something malformed is not in one of the lists that may lose items.
Never: a part that others refer to: without it they would seem to be wrong.
"""

from collections.abc import Collection, Iterable
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
    data, places, written = deepcopy(source.data), dict(source.places), dict(source.written)
    # from the end of each list, so that the places before it still hold; an item inside one that goes is gone with it
    for cut in sorted(cuts, key=lambda cut: [str(key).rjust(12) for key in cut], reverse=True):
        _drop(data, cut)
        places, written = dict(_shifted(places, cut)), dict(_shifted(written, cut))
    return Source(source.file, data, places, written)


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


def _shifted(places: dict[Path, Of], cut: Path) -> Iterable[tuple[Path, Of]]:
    *above, index = cut
    depth = len(above)
    for path, place in places.items():
        key = path[depth] if len(path) > depth and list(path[:depth]) == above else None
        if not isinstance(key, int) or not isinstance(index, int) or key < index:
            yield path, place
        elif key > index:
            yield (*path[:depth], key - 1, *path[depth + 1:]), place
