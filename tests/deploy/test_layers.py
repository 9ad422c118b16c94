"""The layers as SAM packs them, for this machine and for Lambda."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.places import REPOSITORY

LAYERS = REPOSITORY / "layers"
PACKAGES = ("aws_lambda_powertools", "fastapi", "httptools", "jsonschema", "mangum", "msgspec", "pydantic", "yaml")
UNCHECKED_HASH = b"\x01\x00\x00\x00"
"""The flags of a .pyc file that Python never compares with its source. https://peps.python.org/pep-0552/"""
AARCH64 = 183
MOST_MB = 60.0
"""Of a function and its layers, unzipped, in millions of bytes. What Lambda's runtime brings (boto3) is not among
them. Lambda takes 250."""


def make_layer(name: str, target: str, kind: str, artifacts: Path) -> Path:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    subprocess.run(  # noqa: S603 - our own Makefile
        ["/usr/bin/env", "make", "--makefile", str(LAYERS / name / "Makefile"), target],
        env={**environment, "ARTIFACTS_DIR": str(artifacts), "LAYER_TARGET": kind, "PYTHON": sys.executable},
        cwd=artifacts,
        check=True,
        capture_output=True,
    )
    return artifacts


@pytest.fixture(scope="module")
def gateway_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layer("gateway", "build-GatewayLayer", "host", tmp_path_factory.mktemp("gateway"))


@pytest.fixture(scope="module")
def deps_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layer("deps", "build-DepsLayer", "host", tmp_path_factory.mktemp("deps"))


@pytest.fixture(scope="module")
def lambda_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layer("deps", "build-DepsLayer", "lambda", tmp_path_factory.mktemp("lambda"))


@pytest.fixture(scope="module")
def lambda_gateway_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layer("gateway", "build-GatewayLayer", "lambda", tmp_path_factory.mktemp("lambda-gateway"))


def run_python(code: str, *layers: Path) -> str:
    """Output of a bare interpreter that sees the layers and nothing that is installed."""
    path = os.pathsep.join(str(layer / "python") for layer in layers)
    return subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-S", "-P", "-c", code],
        env={"PYTHONPATH": path, "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_gateway_layer_holds_package_wrapper_and_facts(gateway_layer: Path) -> None:
    assert sorted(path.name for path in gateway_layer.iterdir()) == ["gateway-runtime", "python", "shared"]
    assert os.access(gateway_layer / "gateway-runtime", os.X_OK)
    assert (gateway_layer / "shared" / "errors.json").is_file()
    assert [path.name for path in (gateway_layer / "python").iterdir()] == ["gateway"]


def test_bytecode_is_shipped_for_every_module_and_never_checked(gateway_layer: Path) -> None:
    sources = [path for path in (gateway_layer / "python").rglob("*.py") if path.stat().st_size]
    assert sources
    tag = sys.implementation.cache_tag
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        assert compiled.read_bytes()[4:8] == UNCHECKED_HASH
        assert str(gateway_layer).encode() not in compiled.read_bytes()


def test_the_two_layers_together_are_all_that_a_function_needs(gateway_layer: Path, deps_layer: Path) -> None:
    # boto3 is Lambda's own, so what would import it (powertools' parameters) is not part of this.
    output = run_python(
        f"import {', '.join(PACKAGES)}, gateway.entry.chat; print(pydantic.__file__)", deps_layer, gateway_layer
    )
    assert Path(output.strip()).is_relative_to(deps_layer)


def test_a_package_starts_faster_without_metadata_to_look_through(deps_layer: Path) -> None:
    assert not list((deps_layer / "python").glob("*.dist-info"))
    assert not (deps_layer / "python" / "bin").exists()


def test_the_lambda_layer_is_for_arm64_and_python_3_13(lambda_layer: Path) -> None:
    extensions = list((lambda_layer / "python").rglob("*.so"))
    assert len(extensions) >= 4
    assert [path for path in extensions if elf_machine(path) != AARCH64] == []
    names = [path.name for path in extensions]
    assert [name for name in names if "cpython-313-" not in name and ".abi3." not in name] == []


def elf_machine(path: Path) -> int:
    """`e_machine` of the header: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html"""
    return int.from_bytes(path.read_bytes()[18:20], "little")


def pins(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", file.read_text(), re.MULTILINE))


def test_tests_run_with_the_versions_that_are_deployed() -> None:
    deployed, tested = pins(LAYERS / "deps" / "requirements.txt"), pins(REPOSITORY / "requirements-dev.txt")
    assert {name: tested.get(name) for name in deployed} == deployed


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the layer has no certificates by hash without openssl")
def test_every_certificate_lies_by_its_hash_so_that_a_process_reads_one(deps_layer: Path) -> None:
    certifi = deps_layer / "python" / "certifi"
    count = (certifi / "cacert.pem").read_text().count("BEGIN CERTIFICATE")
    assert len(list((certifi / "by_hash").iterdir())) == count > 100
    command = ["/usr/bin/env", "openssl"]
    if not subprocess.check_output([*command, "version"], text=True).startswith("OpenSSL"):  # noqa: S603 - as named
        pytest.skip("LibreSSL cannot leave out the machine's own authorities, so it would say nothing of these")
    any_of_them = next(iter((certifi / "by_hash").iterdir()))
    command += ["verify", "-no-CAfile", "-no-CAstore", "-CApath"]
    subprocess.run([*command, str(certifi / "by_hash"), str(any_of_them)], check=True, capture_output=True)  # noqa: S603


def test_a_layer_that_was_built_without_openssl_is_built_anew_with_it(tmp_path: Path) -> None:
    for name in ("cat", "cksum", "sh", "tr"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    without = name_of_kept(str(tmp_path))
    (tmp_path / "openssl").write_text("#!/bin/sh\n")
    (tmp_path / "openssl").chmod(0o755)
    assert without.replace("-bundled-", "-hashed-") == name_of_kept(str(tmp_path)) != without


def name_of_kept(path: str) -> str:
    """How the folder is called in which the Makefile keeps the layer, on a machine with these programs."""
    command = [shutil.which("make") or "make", "--makefile", str(LAYERS / "deps" / "Makefile"), "-pn", "kept"]
    told = {"PATH": path, "LAYER_TARGET": "host", "PYTHON": sys.executable}
    database = subprocess.check_output(command, text=True, env=told, stderr=subprocess.DEVNULL)  # noqa: S603 - make
    [name] = re.findall(r"^kept := (.+)$", database, re.MULTILINE)
    return Path(name).name


HAS_PYTHON_3_13 = not subprocess.run(
    ["/usr/bin/env", "python3.13", "-c", ""], check=False, capture_output=True
).returncode
FUNCTIONS = sorted(path.parent.name for path in (REPOSITORY / "functions").glob("*/app.py"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_and_its_layers_are_small(function: str, deps_layer: Path, gateway_layer: Path) -> None:
    """Sources and bytecode, as the Makefiles put them together for this machine."""
    size = source_mb(REPOSITORY / "functions" / function) + size_mb(gateway_layer) + size_mb(deps_layer)
    assert size <= MOST_MB, largest(deps_layer, gateway_layer)


@pytest.mark.skipif(not HAS_PYTHON_3_13, reason="without a python3.13 the layer for Lambda is built without bytecode")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_on_lambda_they_are_small_too(function: str, lambda_layer: Path, lambda_gateway_layer: Path) -> None:
    size = source_mb(REPOSITORY / "functions" / function) + size_mb(lambda_gateway_layer) + size_mb(lambda_layer)
    assert size <= MOST_MB, largest(lambda_layer, lambda_gateway_layer)


def source_mb(folder: Path) -> float:
    """Of what is packed: bytecode that tests have left here is not."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc") / 1e6


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def largest(*layers: Path) -> str:
    """What to look at when there is too much."""
    packages = [path for layer in layers for path in (layer / "python").iterdir()]
    sizes = sorted((size_mb(path) if path.is_dir() else path.stat().st_size / 1e6, path.name) for path in packages)
    return ", ".join(f"{name} {mb:.1f} MB" for mb, name in reversed(sizes[-8:]))
