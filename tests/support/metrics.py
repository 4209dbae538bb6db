"""Metrics of a running cluster, read by the official parser."""

from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from tests.support.platform import Platform


async def total(platform: Platform, http: ClientSession, service: str, metric: str, **labels: str) -> float:
    """The sum of the series that have these labels, over all instances of a service."""
    found = 0.0
    for name, process in platform.processes().items():
        if name.startswith(service):
            async with http.get(process.ready_url.replace("/-/ready", "/metrics")) as answer:
                found += sum(one.value for family in text_string_to_metric_families(await answer.text())
                             for one in family.samples
                             if one.name == metric and labels.items() <= one.labels.items())
    return found
