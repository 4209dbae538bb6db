"""Write the dashboards: `python -m deploy.grafana`."""

import json
from pathlib import Path

from deploy.grafana.boards import BOARDS

FOLDER = Path(__file__).parent / "dashboards"


def files() -> dict[Path, str]:
    """Path -> text, of every dashboard."""
    return {FOLDER / f"{board.uid}.json": json.dumps(board.to_json(), indent=1) + "\n" for board in BOARDS}


def main() -> None:
    """Write all."""
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
