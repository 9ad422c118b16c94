"""One simulator process for the whole run; armed faults and the request log are cleared between tests."""

from collections.abc import Iterator

import anthropic
import openai
import pytest
from google import genai

from tests.simulators.process import KEY, Simulator


@pytest.fixture(scope="session")
def process() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(process: Simulator) -> Simulator:
    process.control("DELETE", "faults")
    process.control("DELETE", "requests")
    return process


@pytest.fixture
def openai_client(simulator: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{simulator.url}/openai/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(simulator: Simulator) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=f"{simulator.url}/anthropic", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def google_client(simulator: Simulator) -> Iterator[genai.Client]:
    options = genai.types.HttpOptions(base_url=f"{simulator.url}/google")
    client = genai.Client(api_key=KEY, http_options=options)
    yield client
    client.close()
