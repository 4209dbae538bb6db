"""Documents of an API: its OpenAPI description and a viewer for it, all from this machine.

In:    the projects in force; the files of the Swagger UI bundle.
Out:   `/<project>/openapi.json`, `/<project>/reference`, `/-/viewer/<file>`.
Never: a content delivery network; an answer to a path that an operation of the project has.
"""

from html import escape
from importlib import resources
from importlib.metadata import distribution
from pathlib import Path

import orjson
from aiohttp import web

from services.ingress.routes import EdgeRoutes, Served
from shared.names.headers import JSON
from shared.project.modes import OWN_PATHS
from shared.project.openapi import openapi
from shared.project.routes import Match

_VIEWER = "/-/viewer/"
# how the paths of documents end
DOCUMENTS, _READS = ("/openapi.json", "/reference"), ("GET", "HEAD")
_TYPES = {"js": "text/javascript", "css": "text/css", "png": "image/png"}
_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
# some 30 KB each of a small project
_MOST_DOCUMENTS = 200
_FOLDER, _OWN = "flask_swagger_ui/dist/", "reference.js"
# the viewer writes styles and small pictures of its own, and nothing else that is not in its files
_GUARDED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src "
                               "'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff"}


def may_be_page(method: str, path: str) -> bool:
    """Whether such a request may be meant for no operation, but for what the edge itself answers."""
    return path.startswith(OWN_PATHS) or (method in _READS and path.endswith(DOCUMENTS))


class Pages:
    """Answers GET requests for documents."""

    def __init__(self, routes: EdgeRoutes) -> None:
        """The viewer's files are read once."""
        self._routes = routes
        # files of a package that nobody imports: Flask would come with it
        viewer, own = distribution("flask-swagger-ui"), resources.files(__package__)
        self._files = {**{name: Path(str(viewer.locate_file(_FOLDER + name))).read_bytes() for name in _FILES},
                       _OWN: own.joinpath(_OWN).read_bytes()}
        self._page = own.joinpath("reference.html").read_text()
        # of the projects that were asked for last, in the version that was
        self._documents: dict[str, tuple[int, bytes]] = {}

    def answer(self, path: str) -> web.Response | None:
        """The document at a path, or None when it is none."""
        if path.startswith(_VIEWER):
            name = path.removeprefix(_VIEWER)
            if name not in self._files:
                return web.Response(status=404)
            return web.Response(body=self._files[name], content_type=_TYPES[name.rpartition(".")[2]],
                                headers={"Cache-Control": "max-age=86400", **_GUARDED})
        project, _, rest = path.removeprefix("/").partition("/")
        if "/" + rest not in DOCUMENTS:
            return None
        served = self._routes.served(project)
        if served is None or isinstance(served.routes.match("GET", "/" + rest), Match):
            return None
        if rest == "openapi.json":
            return web.Response(body=self._document(project, served), content_type=JSON)
        page = self._page.replace("{title}", escape(served.project.title or project))
        return web.Response(text=page, content_type="text/html", headers=_GUARDED)

    def _document(self, project: str, served: Served) -> bytes:
        # not the version itself: one that was replaced would stay for as long as nobody asks again
        made = self._documents.pop(project, None)
        if made is None or made[0] != served.version:
            made = served.version, orjson.dumps(openapi(served.project, f"/{project}"))
        self._documents[project] = made
        if len(self._documents) > _MOST_DOCUMENTS:
            del self._documents[next(iter(self._documents))]
        return made[1]
