"""From a request to its provider, through the request log, to the delivery of the reply."""

import asyncio
import sys
import traceback

from local.simulators import media, videos, websocket
from local.simulators.armed import ArmedFaults, Gates
from local.simulators.batches import BatchStore
from local.simulators.control import Control
from local.simulators.delivery import Delivery, send_reply
from local.simulators.http1 import Connection, Request
from local.simulators.identity import ISSUER, IdentityProvider
from local.simulators.journal import Entry, Journal
from local.simulators.live import Session
from local.simulators.providers.anthropic import Anthropic
from local.simulators.providers.azure import Azure
from local.simulators.providers.bedrock import Bedrock
from local.simulators.providers.cerebras import Cerebras
from local.simulators.providers.cohere import Cohere
from local.simulators.providers.deepgram import Deepgram
from local.simulators.providers.deepseek import DeepSeek
from local.simulators.providers.elevenlabs import ElevenLabs
from local.simulators.providers.fireworks import Fireworks
from local.simulators.providers.google import Google
from local.simulators.providers.groq import Groq
from local.simulators.providers.huggingface import HuggingFace
from local.simulators.providers.mistral import Mistral
from local.simulators.providers.ollama import Ollama
from local.simulators.providers.openai import OpenAI
from local.simulators.providers.openrouter import OpenRouter
from local.simulators.providers.perplexity import Perplexity
from local.simulators.providers.runway import Runway
from local.simulators.providers.together import Together
from local.simulators.providers.vertex import Vertex
from local.simulators.providers.vllm import VLLM
from local.simulators.providers.voyage import Voyage
from local.simulators.providers.xai import XAI
from local.simulators.switches import SwitchError, build
from local.simulators.webhooks import Webhooks
from local.simulators.wire import JSON_HEADERS, Api, Filed, Refused, Reply, encode

APIS: tuple[Api, ...] = (
    OpenAI(),
    Anthropic(),
    Google(),
    Bedrock(),
    Azure(),
    Vertex(),
    Mistral(),
    Cohere(),
    Groq(),
    DeepSeek(),
    XAI(),
    Together(),
    Fireworks(),
    OpenRouter(),
    Perplexity(),
    Cerebras(),
    HuggingFace(),
    Ollama(),
    VLLM(),
    Voyage(),
    Runway(),
    Deepgram(),
    ElevenLabs(),
)

FILES = "files"


class App:
    """All simulated providers and the state they share."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.faults = ArmedFaults()
        self.gates = Gates()
        BatchStore.gate_is_open = staticmethod(self.gates.is_open)
        self.identity = IdentityProvider()
        self._apis = {api.name: api for api in APIS}
        self._webhooks = Webhooks()
        self._control = Control(self.journal, self.faults, self.gates, self._webhooks, list(self._apis))

    async def __call__(self, request: Request, out: Connection) -> None:
        """Answer one request. A failure of the simulator itself is a 500 that says so."""
        try:
            if request.path.startswith("/_sim/"):
                status, body = await self._control.answer(request)
                out.reply(status, JSON_HEADERS, encode(body))
            elif request.path.startswith(f"{ISSUER}/"):
                status, body = self.identity.answer(request)
                out.reply(status, JSON_HEADERS, encode(body))
            elif request.path.startswith("/_media/videos/"):
                out.reply(*videos.answer(request.path.removeprefix("/_media/videos/")))
            elif request.path.startswith("/_hooks/"):
                out.reply(*await self._webhooks.answer(request.path.removeprefix("/_hooks/"), request))
            elif request.path.startswith("/_media/"):
                out.reply(*media.answer(request.path.removeprefix("/_media/"), request.query))
            else:
                await self._provider(request, out)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            out.reply(500, [*JSON_HEADERS, ("connection", "close")], encode({"sim_error": "the simulator failed"}))
            out.close()

    async def _provider(self, request: Request, out: Connection) -> None:
        api = self._apis.get(request.path[1:].partition("/")[0])
        if api is None or not request.path.startswith(api.root + "/"):
            out.reply(404, JSON_HEADERS, encode({"sim_error": f"no simulated provider at {request.path}"}))
            return
        entry = self.journal.open(api.name, request)
        try:
            if websocket.is_asked_for(request):
                await self._session(api, request, entry, out)
            else:
                await self._exchange(api, request, entry, out)
        except asyncio.CancelledError:
            entry.mark("client_gone")
            raise
        finally:
            self.journal.close(entry)

    async def _session(self, api: Api, request: Request, entry: Entry, out: Connection) -> None:
        """Over a WebSocket; the connection ends with it."""
        try:
            live = api.live(request, request.path[len(api.root) :], lambda model: self.faults.take(api.name, model))
            socket = websocket.Socket(request, out)
            socket.accept()
        except Refused as refused:
            send_reply(api.refuse(refused), entry, out)
            return
        entry.model, entry.status = live.model, 101
        entry.mark("head")
        await Session(live, entry, out, socket, self.gates).run()
        out.close()

    async def _exchange(self, api: Api, request: Request, entry: Entry, out: Connection) -> None:
        api, path = api.at(request.path[len(api.root) :])
        try:
            call = api.read(request, path)
            if isinstance(call, Filed):
                await self._file(api, call, entry, out)
                return
            if isinstance(call, dict):
                send_reply(Reply(200, JSON_HEADERS, encode(call)), entry, out)
                return
            entry.model = call.model
            switches = build(self.faults.take(api.name, entry.model) | call.settings)
        except Refused as refused:
            send_reply(api.refuse(refused), entry, out)
            return
        except SwitchError as error:
            send_reply(Reply(400, JSON_HEADERS, encode({"sim_error": str(error)})), entry, out)
            return
        if switches.id:
            entry.id = switches.id
            self.journal.wake()
        await Delivery(api, call, switches, entry, out, self.gates).run()

    async def _file(self, api: Api, filed: Filed, entry: Entry, out: Connection) -> None:
        """Armed faults take hold of it by the model `files`, and only with a status or a gate. Raises SwitchError.

        A deletion is named `deleted-<id>`, so that it can be waited for.
        """
        entry.model, entry.file = FILES, filed.file
        if filed.file.get("deleted"):
            entry.id = f"deleted-{filed.file['id']}"
            self.journal.wake()
        switches = build(self.faults.take(api.name, FILES))
        if switches.gate:
            await self.gates.wait(switches.gate)
        if switches.status:
            refused = Refused("fault", "Simulated failure of a file.", status=switches.status, code=switches.code)
            send_reply(api.refuse(refused), entry, out)
        else:
            send_reply(filed.reply, entry, out)
