"""Hostile requests against every route of the service, as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = "correct-horse-battery-staple"
REFUSED = frozenset({400, 401, 403, 404, 405, 408, 409, 413, 415, 422})
ANY = REFUSED | {200, 202, 204, 206, 303, 307, 416}
_ID = "0" * 32
REAL = "1" * 32  # stands for the id of a job that is done
ROUTES = (
    ("POST", "/v1/segment"),
    ("POST", "/v1/prompt"),
    ("GET", f"/v1/jobs/{_ID}"),
    ("POST", f"/v1/jobs/{_ID}/cancel"),
    ("DELETE", f"/v1/jobs/{_ID}"),
    ("GET", f"/v1/jobs/{_ID}/result/masks.json"),
    ("GET", f"/v1/jobs/{_ID}/frames"),
    ("GET", f"/v1/jobs/{_ID}/frames/0.png"),
    ("GET", f"/v1/jobs/{_ID}/frames/0/logits.png"),
    ("GET", "/v1/models"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/static/style.css"),
    ("GET", "/static/sample.mp4"),
    ("GET", "/static/example.jpg"),
)
_PUBLIC = ("/healthz", "/readyz", "/login", "/static/")


@dataclass(frozen=True)
class Attack:
    """One request: its bytes, and the statuses that are within the limits; 0 for hanging up unanswered."""

    kind: str
    name: str
    content: bytes
    allowed: frozenset[int] = REFUSED
    repeated: int = 0  # how often the last 64 KiB are sent again


def attacks() -> Iterator[Attack]:
    """Every request."""
    for method, path in ROUTES:
        yield from _on_route(method, path)
    yield from _malformed()
    yield from _paths()
    yield from _headers()
    yield from _forms()


def request(method: str, path: str, body: bytes = b"", *, token: str | None = TOKEN, **headers: str) -> bytes:
    """A request of HTTP/1.1 in bytes; an underscore in a header's name is a hyphen; "" leaves it out."""
    fields = {"Host": "localhost", "Connection": "close"}
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    if body or method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(body))
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def _on_route(method: str, path: str) -> Iterator[Attack]:
    def attack(name: str, content: bytes, allowed: frozenset[int] = REFUSED, repeated: int = 0) -> Attack:
        return Attack(f"{method} {path.replace(_ID, 'ID')}", name, content, allowed, repeated)

    public = path.startswith(_PUBLIC)
    for token in (None, "wrong", TOKEN[:-1], TOKEN + "x"):
        allowed = ANY if public else frozenset({401})
        yield attack(f"token {token}", request(method, path, token=token), allowed)
    yield attack(
        "cookie", request(method, path, token=None, Cookie="save_avs=" + "a" * 64), ANY if public else REFUSED
    )
    for other in ("PATCH", "TRACE", "CONNECT", "PROPFIND"):
        yield attack(other, request(other, path), frozenset({400, 405}))
    yield attack("host of another", request(method, path, Host="a b"), frozenset({400}))
    yield attack("two hosts", request(method, path, X="y\r\nHost: other"), frozenset({400}))
    if method != "GET":
        for origin in ("https://evil.example", "null", "http://[", "http://localhost:1"):
            yield attack(f"origin {origin}", request(method, path, Origin=origin), frozenset({400, 403}))
    large = request(method, path, Content_Length=str(10**12))
    yield attack("a terabyte announced", large, ANY | {0} if method == "GET" else REFUSED)
    chunked = request(method, path, Content_Length="", Transfer_Encoding="chunked")
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    yield attack("endless chunks", chunked + piece, ANY | {0}, repeated=200)
    yield attack("a query of 60 KB", request(method, f"{path}?{'a' * 60_000}"), ANY)
    yield attack("a path of 100 KB", request(method, path + "a" * 100_000), REFUSED)
    yield attack("traversal", request(method, f"{path}/../../../../canary"), REFUSED)
    yield attack("encoded traversal", request(method, f"{path}/%2e%2e%2f%2e%2e%2fcanary"), REFUSED)
    yield attack("NUL", request(method, f"{path}%00"), REFUSED)


def _malformed() -> Iterator[Attack]:
    start = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"
    lines = {
        "nothing but line ends": b"\r\n" * 100,
        "an older protocol": b"GET /v1/models\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        "binary": bytes(range(256)) * 4,
        "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
        "a name with a space": start + b"Bad Name: x\r\n\r\n",
        "no colon": start + b"nocolon\r\n\r\n",
        "NUL in a value": start + b"X: a\x00b\r\n\r\n",
        "bare CR": start + b"X: a\rY: b\r\n\r\n",
        "a folded line": start + b"X: a\r\n b\r\n\r\n",
        "a header of 1 MB": start + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
        "100,000 headers": start + b"X: a\r\n" * 100_000 + b"\r\n",
        "negative length": start + b"Content-Length: -1\r\n\r\n",
        "length in hex": start + b"Content-Length: 0x10\r\n\r\n",
        "length of 400 digits": start + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
        "two lengths": start + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "length and chunks": start + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "unknown encoding": start + b"Transfer-Encoding: gzip\r\n\r\n",
        "a chunk of negative size": start + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        "a method of 10 KB": b"A" * 10_000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "another server's address": b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    }
    for name, content in lines.items():
        yield Attack("malformed", name, content, REFUSED | {0})


def _paths() -> Iterator[Attack]:
    for id in (
        ".",
        "..",
        "%2e%2e",
        "../x",
        "A" * 32,
        "0" * 31,
        "0" * 33,
        "0" * 31 + "%0a",
        "%F0%9F%90%93" * 32,
        "%ff" * 32,
        "٣" * 32,
    ):
        for tail in ("", "/result/job.json"):
            yield Attack("ids", f"{id[:12]}{tail}", request("GET", f"/v1/jobs/{id}{tail}"))
    for name in (
        "job.json",
        "../../../jobs.sqlite",
        "..%2f..%2f..%2fjobs.sqlite",
        "%2e%2e/%2e%2e/%2e%2e/jobs.sqlite",
        "video",
        "summary.json%00",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "..\\job.json",
    ):
        for id in (_ID, REAL):
            yield Attack("results", name, request("GET", f"/v1/jobs/{id}/result/{name}"))
    for index in ("-1", "1e9", "nan", "9" * 400, "0x0", "", "..", "٣"):
        yield Attack("frames", index[:12], request("GET", f"/v1/jobs/{_ID}/frames/{index}.png"))
    for name in (
        "../server.py",
        "..%2fserver.py",
        "%2e%2e/server.py",
        "....//server.py",
        "/etc/passwd",
        "%5c..%5cserver.py",
        "",
        "%00",
        "app.js/",
        "login.html/..",
    ):
        yield Attack("static", name, request("GET", f"/static/{name}"), REFUSED | {200})
    for path in (
        "/docs",
        "/redoc",
        "/config",
        "/queue/join",
        "/gradio_api/upload",
        "/upload",
        "/file=/etc/passwd",
        "/proxy=http://evil.example",
        "//evil.example",
        "/.env",
        "/.git/config",
        "/v1",
        "/v1/jobs",
        "/v1/jobs/",
        "/v2/segment",
        "/static/../job.json",
    ):
        yield Attack("no such route", path, request("GET", path))
        yield Attack("no such route", f"POST {path}", request("POST", path, b"x" * 100))


def _headers() -> Iterator[Attack]:
    ranges = (
        "bytes=0-",
        "bytes=-1",
        "bytes=5-1",
        "bytes=" + ",".join(["0-0"] * 1000),
        "bytes=" + "9" * 300 + "-",
        "lines=1-2",
        "bytes=a-b",
    )
    for value in ranges:
        yield Attack("ranges", value[:20], request("GET", "/static/sample.mp4", Range=value), ANY)
    for name, value in {
        "Cookie": "a=b; " * 10_000,
        "Authorization": "Bearer " + "x" * 50_000,
        "Accept": "text/html," * 5000,
        "If-Modified-Since": "x" * 10_000,
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "javascript",
        "Expect": "100-continue",
        "Upgrade": "websocket",
        "Content-Encoding": "gzip",
        "X-HTTP-Method-Override": "DELETE",
    }.items():
        yield Attack("headers", name, request("GET", "/v1/models", **{name: value}), ANY)
        yield Attack(
            "headers",
            f"{name}, unauthorized",
            request("GET", "/v1/models", token=None, **{name: value}),
            frozenset({303, 401}),
        )


def _forms() -> Iterator[Attack]:
    def form(
        *parts: bytes, kind: str = "multipart/form-data; boundary=b", path: str = "/v1/segment"
    ) -> bytes:
        body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
        return request("POST", path, body, Content_Type=kind)

    def field(name: str, value: str) -> bytes:
        return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode(
            "utf-8", "surrogateescape"
        )

    def file_part(part: str, name: str) -> bytes:
        return f'Content-Disposition: form-data; name="{part}"; filename="{name}"\r\n\r\nx'.encode()

    file, image, sound = (
        file_part("file", "a.mp4"),
        file_part("frames", "1.png"),
        file_part("audio", "a.wav"),
    )
    for name, values in {
        "fps": ("nan", "inf", "-1", "0", "1e400", "0x10", "٣", "", "9" * 4000),
        "threshold": ("nan", "-0.1", "1.1", "1", "abc"),
        "smooth": ("nan", "inf", "-1", "1e9"),
        "objects": ("1", "yes", "None"),
        "track": ("TRUE", "[]"),
        "save": ("../x", "overlay,../../x", ",".join(["exe"] * 900), ""),
        "model": ("../../etc/passwd", "/etc/passwd", "x" * 4000, "tiny\x00"),
        "url": (
            "file:///etc/passwd",
            "http://169.254.169.254/",
            "http://localhost:22/",
            "gopher://x",
            "x" * 4000,
        ),
        "__class__": ("x",),
    }.items():
        for value in values:
            yield Attack("options", f"{name}={value[:16]!r}", form(file, field(name, value)))
            yield Attack("options", f"{name}={value[:16]!r} alone", form(field(name, value)))
    for name, given in {
        "images alone": [image, image],
        "a sound alone": [sound],
        "a video and images": [file, image, sound],
        "a video and a sound": [file, sound],
        "two sounds": [image, sound, sound],
        "images, a sound and a URL": [image, sound, field("url", "file:///etc/passwd")],
        "5001 images": [image] * 5001 + [sound],
        "5000 images and no sound": [file_part("frames", "../" * 9 + "a" * 300)] * 5000,
        "a sound called as the images' folder": [image, file_part("audio", "frames"), field("model", "x")],
        "images that lead out": [file_part("frames", "../../../canary"), file_part("frames", "/etc/passwd")],
    }.items():
        yield Attack("images with a sound", name, form(*given))
    for name, given in {
        "no image": [field("point", "1,2")],
        "no prompt": [file],
        "two images": [file, file, field("point", "1,2")],
        "frames": [image, field("point", "1,2")],
        "33 points": [file, *[field("point", "1,2")] * 33],
        "words": [file, field("point", "a,b")],
        "one number": [file, field("point", "1")],
        "a box of three": [file, field("box", "1,2,3")],
        "another model": [file, field("point", "1,2"), field("model", "../../x")],
        "a URL": [field("url", "file:///etc/passwd"), field("point", "1,2")],
        "more": [file, field("point", "1,2"), field("save", "masks")],
    }.items():
        yield Attack("prompts", name, form(*given, path="/v1/prompt"))
    for kind in (
        "",
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 300,
        'multipart/form-data; boundary="b',
        "multipart/form-data; boundary=\x01",
        "multipart/form-data; charset=utf-7; boundary=ü",
    ):
        yield Attack("forms", f"type {kind[:44]!r}", form(file, kind=kind))
    bodies = {
        "empty": b"",
        "no end": b"--b\r\n" + file,
        "no part": b"--b--\r\n",
        "33 parts": b"".join(b"--b\r\n" + field(f"f{i}", "1") + b"\r\n" for i in range(33)) + b"--b--\r\n",
        "two videos": b"--b\r\n" + file + b"\r\n--b\r\n" + file + b"\r\n--b--\r\n",
        "a name of 1 MB": b"--b\r\n" + field("x" * 1_000_000, "1") + b"\r\n--b--\r\n",
        "100,000 part headers": b"--b\r\n" + b"X: y\r\n" * 100_000 + b"\r\n--b--\r\n",
        "not UTF-8": b"--b\r\n" + field("fps", "\udcff") + b"\r\n--b--\r\n",
        "no name": b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        "boundaries only": b"--b\r\n" * 100_000,
        "garbage": bytes(range(256)) * 1000,
    }
    for name, body in bodies.items():
        content = request("POST", "/v1/segment", body, Content_Type="multipart/form-data; boundary=b")
        yield Attack("forms", name, content)
    announced = request(
        "POST", "/v1/segment", Content_Type="multipart/form-data; boundary=b", Content_Length=str(10**10)
    )
    for name, part in {"video": file, "image": image, "sound": sound}.items():
        content = announced + b"--b\r\n" + part + b"x" * 65536
        yield Attack("forms", f"an endless {name}", content, frozenset({413, 0}), repeated=200)
    for name in (
        "token=wrong",
        "token=" + "x" * 8000,
        "token=" + "%00" * 100,
        "token=" + "&token=x" * 900,
        "",
    ):
        content = request("POST", "/login", name.encode(), token=None)
        yield Attack("login", name[:16], content, frozenset({401}))
