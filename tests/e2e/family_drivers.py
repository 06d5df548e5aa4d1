"""Drivers that make exactly the requests that the old clients make: their paths, headers, bodies and checks of the answers.

Written from what is known of those clients, none of whose code is here. `crayon`'s and `pastalog`'s packages themselves run in
test_family_packages.py; lapiz's client and crayon's for Lua exist nowhere to be installed.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, quote_plus, urljoin

import numpy as np


@dataclass(frozen=True)
class Answered:
    status: int
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def ok(self) -> bool:
        return self.status < 400


def requests_call(method: str, url: str, body: bytes | None = None, **headers: str) -> Answered:
    """One call of Python's requests: its headers, and no exception for an error status."""
    named = {"User-Agent": "python-requests/2.18.4", "Accept-Encoding": "identity", "Accept": "*/*"}
    named.update({name.replace("_", "-"): value for name, value in headers.items()})
    request = urllib.request.Request(url, body, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answered(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answered(error.code, error.read())


def requests_json(url: str, content: object) -> Answered:
    return requests_call("POST", url, json.dumps(content).encode(), Content_Type="application/json")


def multipart(fields: dict[str, str], name: str, file: bytes) -> tuple[bytes, str]:
    """A form as requests writes it: fields, then the file."""
    boundary = secrets.token_hex(16).encode()
    head = 'Content-Disposition: form-data; name="{}"'
    parts = [f"{head.format(key)}\r\n\r\n{text}".encode() for key, text in fields.items()]
    parts.append(f'{head.format(name)}; filename="backup.zip"\r\n\r\n'.encode() + file)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s--\r\n" % boundary
    return body, f"multipart/form-data; boundary={boundary.decode()}"


# --- lapiz 0.5 ----------------------------------------------------------------------------------------------------------


class LapizClient:
    """lapiz's Client: refuses a server of another version; a run is a `with` block that sends when its step changes."""

    def __init__(self, hostname: str, port: int = 6007) -> None:
        self.url = f"http://{hostname}" if ":" in hostname else f"http://{hostname}:{port}"
        answer = requests_call("GET", f"{self.url}/health")
        said = json.loads(answer.text)
        if not answer.ok or said["health"] != "OK" or said["version"].split(".")[:2] != ["0", "5"]:
            raise RuntimeError(f"client 0.5 does not work with server {said}")

    def runs(self) -> dict[str, list[str]]:
        return json.loads(requests_call("GET", f"{self.url}/data/runs").text)

    def run(self, name: str, step: int = 0) -> LapizRun:
        return LapizRun(self, name, step)

    def backup(self, name: str) -> bytes:
        answer = requests_call("GET", f"{self.url}/data/backup/{quote(name)}")
        if not answer.ok:
            raise RuntimeError(answer.text)
        return answer.content

    def restore(self, name: str, archive: bytes) -> None:
        url = f"{self.url}/backup/{quote(name)}?force=true"
        answer = requests_call("POST", url, archive, Content_Type="application/zip")
        if not answer.ok:
            raise RuntimeError(answer.text)


class LapizRun:
    def __init__(self, client: LapizClient, name: str, step: int) -> None:
        self.url = f"{client.url}/data/run/{quote(name)}/summary"
        self.number = step
        self.time: float | None = None
        self.summaries: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def step(self, number: int | None = None) -> None:
        self.send()
        self.number = self.number + 1 if number is None else number

    def wall_time(self, seconds: float) -> None:
        self.time = seconds

    def add_scalar(self, tag: str = "accuracy", value: Any = None) -> None:
        self.summaries.append({"tag": tag, "type": "scalar", "value": np.asarray(value).item()})

    def add_histogram(self, tag: str = "weights", weights: Any = None, histo: dict[str, Any] | None = None) -> None:
        if (weights is None) == (histo is None):
            raise ValueError("exactly one of weights and histo")
        flat = None if weights is None else np.asarray(weights).ravel().tolist()
        self.summaries.append({"tag": tag, "type": "histogram", "weights": flat, "histo": histo})

    def add_image(self, tag: str, img: Any) -> None:
        self.summaries.append({"tag": tag, "type": "image", "img": np.asarray(img).tolist()})

    def add_audio(self, tag: str, waveform: Any) -> None:
        self.summaries.append({"tag": tag, "type": "audio", "waveform": np.asarray(waveform).tolist()})

    def send(self) -> None:
        if not self.summaries:
            return
        body = {"wall_time": time.time() if self.time is None else self.time, "step": self.number, "summaries": self.summaries}
        answer = requests_json(self.url, body)
        self.summaries, self.time = [], None
        if (answer.status, answer.text) != (200, "OK"):
            raise RuntimeError(f"{answer.status}: {answer.text}")

    save = send
    close = send


# --- crayon 0.5, Python -------------------------------------------------------------------------------------------------


class CrayonClient:
    """pycrayon as its later sources have it: names are encoded with quote_plus. Every refusal is a ValueError with the text."""

    def __init__(self, hostname: str, port: int) -> None:
        self.url = f"http://{hostname}:{port}"
        if requests_call("GET", self.url).text != "0.5":
            raise RuntimeError("not the version of this client")

    def call(self, method: str, query: str, content: object = None) -> Answered:
        url = self.url + query
        answer = requests_call(method, url) if content is None else requests_json(url, content)
        if not answer.ok:
            assert answer.status == 400
            raise ValueError(f"Something went wrong. Server sent: {answer.text}.")
        return answer

    def names(self) -> list[str]:
        return json.loads(self.call("GET", "/data").text)

    def remove(self, name: str) -> None:
        self.call("DELETE", f"/data?xp={quote_plus(name)}")

    def create(self, name: str, archive: bytes | None = None) -> CrayonExperiment:
        if archive is None:
            assert self.call("POST", "/data", name).text == "ok"
        else:
            body, kind = multipart({"mysubmit": "Go"}, "archive", archive)
            answer = requests_call("POST", f"{self.url}/backup?xp={quote_plus(name)}&force=True", body, Content_Type=kind)
            if not answer.ok:
                raise ValueError(answer.text)
        return CrayonExperiment(self, name)

    def open(self, name: str) -> CrayonExperiment:
        experiment = CrayonExperiment(self, name)
        for series in experiment.describe()["scalars"]:
            experiment.steps[series] = experiment.scalars(series)[-1][1] + 1
        return experiment


class CrayonExperiment:
    def __init__(self, client: CrayonClient, name: str) -> None:
        self.client = client
        self.xp = quote_plus(name)
        self.steps: dict[str, int] = {}

    def describe(self) -> dict[str, list[str]]:
        return json.loads(self.client.call("GET", f"/data?xp={self.xp}").text)

    def add_scalar(self, name: str, value: object, wall_time: float | None = None, step: int | None = None) -> None:
        number = self.steps.get(name, 0) if step is None else step
        self.steps[name] = number + 1
        body = [time.time() if wall_time is None else wall_time, number, value]
        assert self.client.call("POST", f"/data/scalars?xp={self.xp}&name={quote_plus(name)}", body).text == "ok"

    def scalars(self, name: str) -> list[list[Any]]:
        return json.loads(self.client.call("GET", f"/data/scalars?xp={self.xp}&name={quote_plus(name)}").text)

    def add_histogram(self, name: str, histo: object, *, tobuild: bool, wall_time: float, step: int) -> None:
        query = f"/data/histograms?xp={self.xp}&name={quote_plus(name)}&tobuild={tobuild}"
        assert self.client.call("POST", query, [wall_time, step, histo]).text == "ok"

    def histograms(self, name: str) -> list[list[Any]]:
        return json.loads(self.client.call("GET", f"/data/histograms?xp={self.xp}&name={quote_plus(name)}").text)

    def to_zip(self) -> bytes:
        return self.client.call("GET", f"/backup?xp={self.xp}").content


# --- crayon 0.5, Lua ----------------------------------------------------------------------------------------------------


class LuaCrayon:
    """crayon's client for Lua and Torch, as LuaSocket speaks: no Accept header, a connection a request, numbers of one type."""

    def __init__(self, hostname: str, port: int) -> None:
        self.address = (hostname, port)
        version = self.request("GET", "/").text
        if version != "0.5":
            raise RuntimeError(f"server {version} is not of this client's version")

    def request(self, method: str, path: str, body: str | None = None) -> Answered:
        host, port = self.address
        lines = [f"{method} {path} HTTP/1.1", f"host: {host}:{port}", "user-agent: LuaSocket 3.0-rc1", "te: trailers"]
        lines.append("connection: close, TE")
        if body is not None:
            lines += ["content-type: application/json", f"content-length: {len(body.encode())}"]
        with socket.create_connection(self.address, timeout=30) as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + (body or "")).encode())
            received = b""
            while piece := connection.recv(65536):
                received += piece
        head, _, content = received.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        return Answered(int(head.split()[1]), content)

    @staticmethod
    def number(value: float) -> str:
        """As lua-cjson writes a double: 14 digits, and no point in whole numbers."""
        return f"{value:.14g}"

    def create(self, name: str) -> Answered:
        return self.request("POST", "/data", json.dumps(name))

    def add_scalar(self, xp: str, name: str, wall_time: float, step: float, value: float) -> Answered:
        body = f"[{self.number(wall_time)},{self.number(step)},{self.number(value)}]"
        return self.request("POST", f"/data/scalars?xp={quote(xp)}&name={quote(name)}", body)

    def add_histogram(self, xp: str, name: str, wall_time: float, step: float, values: list[float]) -> Answered:
        body = f"[{self.number(wall_time)},{self.number(step)},[{','.join(map(self.number, values))}]]"
        return self.request("POST", f"/data/histograms?xp={quote(xp)}&name={quote(name)}&tobuild=true", body)

    def read(self, kind: str, xp: str, name: str) -> Any:
        return json.loads(self.request("GET", f"/data/{kind}?xp={quote(xp)}&name={quote(name)}").text)


# --- pastalog -----------------------------------------------------------------------------------------------------------


class PastaLog:
    """pastalog's Log: one point a call, an exception for an error status."""

    def __init__(self, url: str, model_name: str) -> None:
        self.url = urljoin(url, "data")
        self.model_name = model_name

    def post(self, series_name: str, value: float, step: int) -> None:
        body = {"modelName": self.model_name, "pointType": series_name, "pointValue": value, "globalStep": step}
        answer = requests_json(self.url, body)
        if answer.status >= 400:
            raise RuntimeError(f"{answer.status}: {answer.text}")
