"""Writes a bill of materials (CycloneDX 1.6, JSON) for each lock file, with hashes and licences.

    make sbom

The same locks give the same files: nothing in them is random, and the time is left out.
"""

from __future__ import annotations

import sys
import tomllib
import uuid
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from local.places import REPOSITORY
from scripts.licences import Licences, read
from scripts.locks import LOCKS, Package, packages


def component(package: Package, licence: str) -> Component:
    """A file of any of the hashes may be installed: which one, the machine decides."""
    purl = PackageURL("pypi", None, package.name, package.version)
    known = LicenseExpression(licence) if " " in licence else DisjunctiveLicense(id=licence)
    marker = [Property(name="python:marker", value=package.marker)] if package.marker else []
    artifacts = [Property(name="python:artifact:sha256", value=sha256) for sha256 in package.sha256]
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[known],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.sha256[0])] if len(package.sha256) == 1 else [],
        properties=[*marker, *artifacts],
    )


def document(lock: str, licences: Licences) -> str:
    """Raises KeyError for a package without a known licence, ValueError for what breaks CycloneDX's schema."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    root = Component(
        type=ComponentType.APPLICATION,
        name="llm-gateway",
        version=project["version"],
        bom_ref="llm-gateway",
        description=LOCKS[lock],
    )
    components = [component(package, licences[package.name, package.version]) for package in packages(lock)]
    bom = Bom(
        metadata=BomMetaData(component=root),
        components=components,
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, (REPOSITORY / lock).read_text()),
        dependencies=[Dependency(root.bom_ref, [Dependency(one.bom_ref) for one in components])],
    )
    bom.metadata.timestamp = None
    written: str = JsonV1Dot6(bom).output_as_string(indent=2)
    if broken := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written):
        raise ValueError(f"{lock}: {broken}")
    return written


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    licences = read()
    for lock in LOCKS:
        file = folder / f"{lock.removesuffix('.txt').replace('/', '-')}.cdx.json"
        file.write_text(document(lock, licences) + "\n")
        print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
