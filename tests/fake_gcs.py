"""A server that answers as Google Cloud Storage does, as far as gcsfs, tensorstore and google-cloud-storage ask.

Objects in a dict: written as a whole, no folders, no appending. https://cloud.google.com/storage/docs/json_api
"""

import json
import re
import sys
import threading
from base64 import b64encode
from email.parser import BytesParser
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

OBJECT = re.compile(
    r"/b/(?P<bucket>[^/]+)(/o(/(?P<name>[^/]+)(?P<copy>/(rewriteTo/b/[^/]+|moveTo)/o/(?P<to>[^/]+))?)?)?$"
)


class Server(ThreadingHTTPServer):
    """Clients that ask two things at once leave when the first is answered."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Store:
    """Buckets of objects, each with its generation; `url` is where the server listens."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.uploads: dict[str, tuple[str, bytearray]] = {}
        self.generations, self.lock = count(1), threading.Lock()
        self.fail = False
        """Refuse whatever is written."""
        handler = type("Bound", (Handler,), {"store": self})
        self.server = Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, name="fake gcs", daemon=True).start()

    def names(self, under: str = "") -> list[str]:
        """Names of the objects whose names begin so."""
        return sorted(name for name in self.objects if name.startswith(under))

    def about(self, name: str) -> dict[str, Any]:
        data, generation = self.objects[name]
        bucket, _, rest = name.partition("/")
        now = "2025-01-01T00:00:00.000Z"
        return {
            "kind": "storage#object", "bucket": bucket, "name": rest, "size": str(len(data)), "metageneration": "1",
            "generation": str(generation), "timeCreated": now, "updated": now, "storageClass": "STANDARD",
            "md5Hash": b64encode(md5(data).digest()).decode(), "etag": str(generation),
        }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """One request."""

    store: Store
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def reply(self, status: int, content: Any = b"", **headers: str) -> None:
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers["Content-Type"] = "application/json"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self) -> None:
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = OBJECT.search(parts.path)
        if not found:
            return self.reply(404, {"error": {"code": 404, "message": self.path}})
        bucket, name, to = (unquote(found[group] or "") for group in ("bucket", "name", "to"))
        with self.store.lock:
            if self.command == "GET" and not found[2]:
                return self.reply(200, {"kind": "storage#bucket", "name": bucket, "id": bucket, "location": "US"})
            if parts.path.startswith(("/upload", "/resumable")):
                return self.upload(bucket)
            if found["copy"]:
                objects, move = self.store.objects, "moveTo" in found["copy"]
                data, _ = objects.pop(f"{bucket}/{name}") if move else objects[f"{bucket}/{name}"]
                return self.write(f"{bucket}/{to}", data, rewrite=not move)
            if not name:
                return self.listing(bucket)
            return self.one(f"{bucket}/{name}")

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def write(self, name: str, data: bytes, rewrite: bool = False) -> None:
        if self.store.fail:
            return self.reply(403, {"error": {"code": 403, "message": "the store is full"}})
        wanted = self.query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != self.store.objects.get(name, (b"", 0))[1]:
            return self.reply(412, {"error": {"code": 412, "message": "conditionNotMet"}})
        self.store.objects[name] = data, next(self.store.generations)
        about = self.store.about(name)
        self.reply(200, {"done": True, "resource": about, "kind": "storage#rewriteResponse"} if rewrite else about)

    def upload(self, bucket: str) -> None:
        kind, name = self.query.get("uploadType", "media"), self.query.get("name", "")
        if "upload_id" in self.query:
            key, data = self.store.uploads[self.query["upload_id"]]
            data += self.body
            if self.headers["Content-Range"].endswith("/*"):  # more will come
                return self.reply(308, Range=f"bytes=0-{len(data) - 1}")
            return self.write(key, bytes(data))
        if kind == "resumable":
            name = name or json.loads(self.body)["name"]
            number = str(next(self.store.generations))
            self.store.uploads[number] = f"{bucket}/{name}", bytearray()
            return self.reply(200, Location=f"{self.store.url}/upload/storage/v1/b/{bucket}/o?upload_id={number}")
        data = self.body
        if kind == "multipart":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts: Any = BytesParser().parsebytes(head + self.body).get_payload()
            name, data = json.loads(parts[0].get_payload())["name"], parts[1].get_payload(decode=True)
        return self.write(f"{bucket}/{name}", data)

    def listing(self, bucket: str) -> None:
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter")
        names = [name.partition("/")[2] for name in self.store.names(f"{bucket}/{prefix}")]
        items, prefixes = [], []
        for name in names:
            inside = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            if inside[1]:
                prefixes.append(prefix + inside[0] + inside[1])
            else:
                items.append(self.store.about(f"{bucket}/{name}"))
        self.reply(200, {"kind": "storage#objects", "items": items, "prefixes": sorted(set(prefixes))})

    def one(self, name: str) -> None:
        if name not in self.store.objects:
            return self.reply(404, {"error": {"code": 404, "message": f"No such object: {name}"}})
        data, generation = self.store.objects[name]
        if self.command == "DELETE":
            del self.store.objects[name]
            return self.reply(204)
        if self.query.get("alt") != "media":
            return self.reply(200, self.store.about(name))
        about = {"x_goog_generation": str(generation), "x_goog_stored_content_length": str(len(data))}
        wanted = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
        if not wanted:
            return self.reply(200, data, **about)
        first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
        if first >= len(data):
            return self.reply(416)
        last = min(last, len(data) - 1)
        self.reply(206, data[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}", **about)
