"""The dashboard's files: exactly those that the build left, known by name at start. No path of a request is ever joined.

Files under `assets/` carry a hash of their content in their name and may be kept for ever; the page itself is asked for
anew each time. Paths without a file are the dashboard's own routes and get the page.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import lru_cache, partial
from pathlib import Path

from runlore.api.operation import Public
from runlore.server.routes import Endpoint, Routes, nothing_at
from runlore.web.http import Headers, Reply, Request, text_reply
from runlore.web.proxies import prefix_of

FOLDER = Path(__file__).parent / "static"

_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".json": "application/json", ".webmanifest": "application/manifest+json", ".map": "application/json",
    ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp",
    ".woff2": "font/woff2", ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
_COMPRESSED = frozenset({".html", ".js", ".css", ".json", ".svg", ".map", ".txt", ".webmanifest"})
_HIDDEN = frozenset({"index.html", ".vite/manifest.json"})
_API = ("/api/", "/ajax-api/", "/assets/", "/get-artifact", "/model-versions/get-artifact")

NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Runlore</title>
<h1>Runlore is running</h1>
<p>The dashboard is not part of this installation, because it was not built. In a clone of the repository, build it with</p>
<pre>make ui</pre>
<p>and start the server again. All else works: point a client at this address, or read the API at <code>/api/docs</code>.</p>
"""


def page_at(prefix: str, page: bytes) -> bytes:
    """The page for a server that lives under a path of its own. The build writes addresses from the page (`./assets/…`), but
    the page is shown at many paths: here they become addresses from the root, and the page learns the prefix."""
    text = re.sub(rb'\b(src|href)="\./', rb'\1="' + prefix.encode() + b"/", page)
    return text.replace(b"<head>", b'<head><meta name="runlore-prefix" content="%b">' % prefix.encode(), 1) if prefix else text


class StaticFile:
    """One file of the dashboard. Its bytes are read when it is first asked for."""

    def __init__(self, path: Path, forever: bool, prefix: str | None = None) -> None:
        self._path = path
        self._prefix = prefix
        self._type = _TYPES.get(path.suffix, "application/octet-stream").encode()
        self._caching = b"public, max-age=31536000, immutable" if forever else b"no-cache"
        self._compressible = path.suffix in _COMPRESSED
        self._plain: bytes | None = None
        self._gzip: bytes | None = None
        self._tag = b""

    def reply(self, request: Request) -> Reply:
        """The file, compressed if that helps, or 304 when the browser has it already."""
        if self._plain is None:
            self._plain = self._path.read_bytes()
            if self._prefix is not None:
                self._plain = page_at(self._prefix, self._plain)
            self._tag = b'"' + hashlib.sha256(self._plain).hexdigest()[:32].encode() + b'"'
        headers: Headers = [
            (b"content-type", self._type),
            (b"cache-control", self._caching),
            (b"etag", self._tag),
            (b"vary", b"accept-encoding"),
        ]
        if (request.header(b"if-none-match") or b"").removeprefix(b"W/") == self._tag:
            return Reply(b"", headers, 304)
        if not self._compressible or b"gzip" not in (request.header(b"accept-encoding") or b""):
            return Reply(self._plain, headers)
        if self._gzip is None:
            self._gzip = gzip.compress(self._plain, 6, mtime=0)
        return Reply(self._gzip, [*headers, (b"content-encoding", b"gzip")])


class Dashboard:
    """The built dashboard, or a page that says how to build it."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._path = folder / "index.html"
        self._built = self._path.is_file()
        self._page = lru_cache(maxsize=16)(lambda prefix: StaticFile(self._path, forever=False, prefix=prefix))
        self._files = dict(_files(folder)) if self._built else {}

    def add_to(self, routes: Routes) -> None:
        """Serve the page, its files, and the page again for every path that is a route inside the dashboard."""
        for path, file in self._files.items():
            routes.add(Endpoint("Dashboard", "GET", path, Public, partial(_file, file)))
        routes.add(Endpoint("Dashboard", "GET", "/", Public, self._answer))
        routes.otherwise = Endpoint("Dashboard", "GET", "/{path}", Public, self._answer)

    async def _answer(self, request: Request) -> Reply:
        """The page, for people: programs that miss a route must hear that it does not exist."""
        wants_page = b"text/html" in (request.header(b"accept") or b"")
        if request.path != "/" and (request.path.startswith(_API) or not wants_page):
            raise nothing_at("GET", request.path)
        prefix = prefix_of(request.scope)
        return self._page(prefix).reply(request) if self._built else text_reply(NOT_BUILT, "text/html; charset=utf-8")


async def _file(file: StaticFile, request: Request) -> Reply:
    return file.reply(request)


def _files(folder: Path) -> list[tuple[str, StaticFile]]:
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in _HIDDEN:
            found.append((f"/{name}", StaticFile(path, forever=name.startswith("assets/"))))
    return found
