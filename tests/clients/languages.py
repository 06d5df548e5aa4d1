"""How each language's client is generated, compiled and run: the commands of docs/clients.md, below one folder.

What is made lies in `.clients/`, which git ignores. The commands are the page's own: a test compares them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MADE = ROOT / ".clients"
DOCUMENT = ROOT / "docs" / "openapi.json"
TOOLS = MADE / "venv" / "bin"
# Where Debian's package has the one module that generated Go code imports.
GO_MODULES = "/usr/share/gocode"

COMMANDS = {
    "python": "openapi-python-client generate --path openapi.json --output-path bridge --meta none --config config.yml",
    "typescript": "npx openapi-typescript openapi.json --output bridge.d.ts",
    "go": "openapi-generator-cli generate -i openapi.json -g go -o bridge "
    "--additional-properties=packageName=bridge,withGoMod=false,enumClassPrefix=true",
    "java": "openapi-generator-cli generate -i openapi.json -g java --library native -o generated --additional-properties="
    "invokerPackage=bridge,apiPackage=bridge.api,modelPackage=bridge.model,openApiNullable=false,containerDefaultToNull=true,"
    "useJakartaEe=false",
    "cpp": "g++ -std=c++17 -Wall -Wextra -o first_point first_point.cpp -lcurl",
}
# openapi-generator's documentation and tests of each model are none of ours, and take longer than the rest.
_CODE_ONLY = " --global-property=apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false"
PATIENCE_S = 300


def run(command: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None) -> str:
    """What a command prints; its whole output if it fails."""
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_PROXY": "127.0.0.1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def fresh(language: str) -> Path:
    """The folder of a language, with our programs and the document, and nothing generated before."""
    folder = MADE / language
    kept = folder / "node_modules"  # from the lock file; takes longest
    if folder.exists():
        for old in folder.iterdir():
            if old != kept:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(HERE / language, folder, dirs_exist_ok=True)
    shutil.copy(DOCUMENT, folder / "openapi.json")
    return folder


class Curl:
    """Nothing to generate."""

    def build(self) -> None:
        self.folder = fresh("curl")

    def command(self, program: str) -> list[str | Path]:
        return ["sh", f"{program}.sh"]

    env: Mapping[str, str] = {}


class PythonClient(Curl):
    """openapi-python-client; needs httpx and attrs, which its own environment has."""

    def build(self) -> None:
        self.folder = fresh("python")
        run(COMMANDS["python"].split(), self.folder)

    def command(self, program: str) -> list[str | Path]:
        return [TOOLS / "python", f"{program}.py"]


class TypeScript(Curl):
    """openapi-typescript's types for openapi-fetch, compiled as strictly as tsc does."""

    def build(self) -> None:
        self.folder = fresh("typescript")
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"], self.folder)
        run(COMMANDS["typescript"].split(), self.folder)
        run(["npx", "tsc"], self.folder)

    def command(self, program: str) -> list[str | Path]:
        return ["node", f"built/{program}.js"]


class Go(Curl):
    """openapi-generator's Go client. GOPATH's way, since the module that it imports comes from Debian here."""

    def build(self) -> None:
        self.folder = fresh("go")
        run((COMMANDS["go"] + _CODE_ONLY).split(), self.folder)
        place = MADE / "gopath" / "src"
        place.mkdir(parents=True, exist_ok=True)
        (place / "example").unlink(missing_ok=True)
        (place / "example").symlink_to(self.folder)
        env = {"GO111MODULE": "off", "GOPATH": f"{place.parent}{os.pathsep}{GO_MODULES}", "GOCACHE": str(MADE / "gocache")}
        run(["go", "vet", "./first_point", "./every_kind"], place / "example", env)
        run(["go", "build", "-o", "built/", "./first_point", "./every_kind"], place / "example", env)

    def command(self, program: str) -> list[str | Path]:
        return [f"built/{program}"]


class Java(Curl):
    """openapi-generator's client for java.net.http, compiled with the Jackson that the generator itself brings."""

    def build(self) -> None:
        self.folder = fresh("java")
        (self.jar,) = TOOLS.parent.glob("lib/python*/site-packages/openapi_generator_cli/openapi-generator.jar")
        run((COMMANDS["java"] + _CODE_ONLY).split(), self.folder)
        sources = [
            *self.folder.glob("generated/src/main/**/*.java"),
            *self.folder.glob("*.java"),
            *self.folder.glob("javax/**/*.java"),
        ]
        run(["javac", "-nowarn", "-proc:none", "-d", "built", "-cp", self.jar, *sources], self.folder)

    def command(self, program: str) -> list[str | Path]:
        name = "".join(word.title() for word in program.split("_"))
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", f"built{os.pathsep}{self.jar}", name]


class Cpp(Curl):
    """libcurl by hand; nothing to generate."""

    def build(self) -> None:
        self.folder = fresh("cpp")
        run(COMMANDS["cpp"].split(), self.folder)

    def command(self, program: str) -> list[str | Path]:
        return [f"./{program}"]


LANGUAGES = {"curl": Curl, "cpp": Cpp, "python": PythonClient, "typescript": TypeScript, "go": Go, "java": Java}
