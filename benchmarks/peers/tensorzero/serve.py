"""TensorZero's gateway as an HTTP server, from its PyPI package, which has the gateway and no program to start it.

python serve.py PROVIDER_URL FOLDER: writes the base URL to FOLDER/url, and waits. From then on no Python runs.
"""

import signal
import sys
from pathlib import Path

from tensorzero.tensorzero import _start_http_gateway

_OBSERVABILITY = "[gateway.observability]\nenabled = false\n"
_MODEL = """
[{kind}.{name}]
routing = ["provider"]
[{kind}.{name}.providers.provider]
type = "openai"
model_name = "{name}"
api_base = "{url}/"
api_key_location = "none"
"""
_MODELS = (("models", "gpt-4o-mini"), ("embedding_models", "text-embedding-3-small"))


def main(provider_url: str, folder: Path) -> None:
    config = folder / "tensorzero.toml"
    models = "".join(_MODEL.format(kind=kind, name=name, url=provider_url) for kind, name in _MODELS)
    config.write_text(_OBSERVABILITY + models)
    gateway = _start_http_gateway(
        config_file=str(config), clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    draft = folder / "url.draft"
    draft.write_text(gateway.base_url)
    draft.rename(folder / "url")
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
