"""Grafana's dashboards as values. Pure.

In:    titles, expressions, units.
Out:   the JSON that Grafana loads.
Never: a data source by name: the one that is chosen on the dashboard is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _PER_ROW = 12, 8, 2
_SCHEMA = 39


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel. `exemplar`: show the traces that belong to it."""

    expr: str
    legend: str
    exemplar: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph. `unit`: as Grafana names it; `about`: what it says, for somebody who sees it for the first time."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `choose`: labels that can be chosen, each with the metric that has them."""

    uid: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    choose: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What Grafana loads."""
        return {
            "uid": self.uid, "title": self.title, "description": self.about, "tags": ["weir"], "editable": True,
            "schemaVersion": _SCHEMA, "refresh": "30s", "timezone": "browser", "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": [_source_choice(), *(_choice(label, metric) for label, metric in self.choose)]},
            "panels": [_panel(panel, number) for number, panel in enumerate(self.panels)]}


def _source_choice() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _choice(label: str, metric: str) -> dict[str, Any]:
    return {"name": label, "type": "query", "label": label.capitalize(), "datasource": _SOURCE, "multi": True,
            "includeAll": True, "allValue": ".*", "refresh": 2, "query": f"label_values({metric}, {label})",
            "current": {"text": "All", "value": "$__all"}}


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    row, column = divmod(number, _PER_ROW)
    return {
        "id": number + 1, "type": "timeseries", "title": panel.title, "description": panel.about,
        "datasource": _SOURCE, "targets": _targets(panel.queries),
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True,
                               "calcs": ["lastNotNull", "max"]},
                    "tooltip": {"mode": "multi", "sort": "desc"}}}


def _targets(queries: Sequence[Query]) -> list[dict[str, Any]]:
    return [{"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query.expr, "legendFormat": query.legend,
             "exemplar": query.exemplar, "range": True} for number, query in enumerate(queries)]
