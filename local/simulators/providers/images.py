"""What simulated makers of images have in common, and OpenAI's, which most providers imitate."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from local.simulators.media import painted
from local.simulators.pictures import picture
from local.simulators.script import count_tokens, next_id
from local.simulators.switches import Switches, strip_directives
from local.simulators.wire import (
    FLAG,
    TEXT,
    UNKNOWN_MODEL,
    Asked,
    Json,
    Refused,
    Rule,
    Said,
    check_parameters,
    encode,
    integer,
    now_s,
    require,
)

Size = tuple[int, int]
IMAGE_TOKENS = {"low": 272, "medium": 1056, "high": 4160}
SQUARE = (1024, 1024)
TICKS_PER_IMAGE = 200_000_000
OPENAI_RULES: Mapping[str, Rule] = {
    "background": TEXT,
    "model": TEXT,
    "moderation": TEXT,
    "n": integer(1, 10),
    "output_compression": integer(0, 100),
    "output_format": TEXT,
    "partial_images": integer(0, 3),
    "prompt": TEXT,
    "quality": TEXT,
    "size": TEXT,
    "stream": FLAG,
    "user": TEXT,
}
XAI_RULES: Mapping[str, Rule] = {
    "aspect_ratio": TEXT,
    "model": TEXT,
    "n": integer(1, 10),
    "prompt": TEXT,
    "quality": TEXT,
    "resolution": TEXT,
    "response_format": TEXT,
    "user": TEXT,
}
TOGETHER_RULES: Mapping[str, Rule] = {
    "height": integer(64, 1792),
    "model": TEXT,
    "n": integer(1, 4),
    "negative_prompt": TEXT,
    "output_format": TEXT,
    "prompt": TEXT,
    "response_format": TEXT,
    "seed": integer(),
    "steps": integer(1, 50),
    "width": integer(64, 1792),
}
OPENROUTER_RULES: Mapping[str, Rule] = {"aspect_ratio": TEXT, "model": TEXT, "n": integer(1, 1), "prompt": TEXT}


def image_of(prompt: str, number: int, size: Size, kind: str, *, transparent: bool = False) -> bytes:
    """The picture that a simulator makes of a prompt; `number` counts from 0 within one request."""
    return picture(f"{prompt} #{number}", *size, kind, transparent=transparent)


def size_of_shape(ratio: str, long_side: int = 1024) -> Size:
    """As large as its resolution on the longer side, in multiples of 8."""
    width, _, height = ratio.partition(":")
    across = float(width) / float(height)
    short = max(8, round(long_side * min(across, 1 / across) / 8) * 8)
    return (long_side, short) if across >= 1 else (short, long_side)


class Pictured(Asked):
    """A checked request. ``write`` makes the reply of it, and of the tokens that its prompt and its images count."""

    def __init__(self, model: str, prompt: str, write: "Callable[[Pictured], Json]") -> None:
        self._model, self._write = model, write
        self.prompt, self.settings = strip_directives(prompt)
        self.switches = Switches()

    @property
    def model(self) -> str:
        return self._model

    @property
    def is_filtered(self) -> bool:
        return self.switches.finish == "filter"

    @property
    def has_usage(self) -> bool:
        return self.switches.usage != "none"

    @property
    def prompt_tokens(self) -> int:
        given = self.switches.prompt_tokens
        return count_tokens(self.prompt) if given is None else given

    def image_tokens(self, usual: int) -> int:
        given = self.switches.completion_tokens
        return usual if given is None else given

    def say(self, switches: Switches) -> Said:
        self.switches = switches
        return Said(next_id(), lambda: encode(self._write(self)))


@dataclass(frozen=True)
class ImageRules:
    """How one provider checks a request in OpenAI's shape, and answers. ``told``: what it says an image is."""

    path: str = "/images/generations"
    rules: Mapping[str, Rule] = field(default_factory=lambda: OPENAI_RULES)
    strict: bool = True
    size: Literal["text", "sides", "shape"] = "text"
    formats: tuple[str, ...] = ("png", "jpeg", "webp")
    base64: str = ""
    usage: Literal["tokens", "chat_tokens", "ticks", ""] = "tokens"
    told: str = ""

    def read(self, body: Json, host: str) -> Pictured:
        """`host`: of the simulators, for pictures that are only linked. Raises Refused."""
        require(body, "model", "prompt")
        check_parameters(body, self.rules, strict=self.strict)
        if body["model"] == UNKNOWN_MODEL:
            raise Refused("model_not_found", f"The model `{UNKNOWN_MODEL}` does not exist.", param="model")
        if not body["prompt"]:
            raise Refused("empty", "Invalid 'prompt': empty string.", param="prompt")
        if self.base64 and body.get("response_format") != self.base64:
            message = "Simulated images are in the answer only."
            raise Refused("unsupported_parameter", message, param="response_format")
        size, kind = self._size(body), self._format(body)
        return Pictured(body["model"], body["prompt"], lambda asked: self._reply(asked, body, size, kind, host))

    def _size(self, body: Json) -> Size:
        if self.size == "sides":
            return body.get("width") or 1024, body.get("height") or 1024
        if self.size == "shape":
            side = 2048 if str(body.get("resolution")).lower() == "2k" else 1024
            return size_of_shape(body.get("aspect_ratio") or "1:1", side)
        width, _, height = str(body.get("size") or "1024x1024").partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise Refused("wrong_type", f"Invalid value: '{body['size']}'.", param="size", code="invalid_value")
        return int(width), int(height)

    def _format(self, body: Json) -> str:
        kind = body.get("output_format") or self.formats[0]
        if kind not in self.formats:
            raise Refused("wrong_type", f"Invalid value: '{kind}'.", param="output_format", code="invalid_value")
        if body.get("background") == "transparent" and kind == "jpeg":
            message = "Transparent background is not supported for JPEG output format."
            raise Refused("wrong_type", message, param="background", code="invalid_value")
        return str(kind)

    def _reply(self, asked: Pictured, body: Json, size: Size, kind: str, host: str) -> Json:
        images = body.get("n") or 1
        transparent = body.get("background") == "transparent"
        made = [] if asked.is_filtered else range(images)
        if asked.switches.linked:
            links = [painted(f"{asked.prompt} #{at}", size, kind) for at in made]
            return {"data": [{"url": f"http://{host}{link}"} for link in links]} | self._usage(asked, body, images)
        data = [self._item(image_of(asked.prompt, at, size, kind, transparent=transparent)) for at in made]
        reply: Json = {"created": now_s(), "data": data}
        if self.usage == "tokens":
            reply |= {"output_format": kind, "quality": body.get("quality") or "high", "size": f"{size[0]}x{size[1]}"}
            reply["background"] = body.get("background") or "opaque"
        return reply | self._usage(asked, body, images)

    def _item(self, image: bytes) -> Json:
        item: Json = {"b64_json": b64encode(image).decode()}
        return item | ({self.told: "image/jpeg" if image.startswith(b"\xff\xd8") else "image/png"} if self.told else {})

    def _usage(self, asked: Pictured, body: Json, images: int) -> Json:
        if not asked.has_usage or not self.usage:
            return {}
        if self.usage == "ticks":
            return {"usage": {"cost_in_usd_ticks": TICKS_PER_IMAGE * images}}
        made = asked.image_tokens(images * (IMAGE_TOKENS[body.get("quality") or "high"]))
        prompt = asked.prompt_tokens
        total = prompt + made
        if self.usage == "chat_tokens":
            details: Json = {"reasoning_tokens": 0, "image_tokens": made}
            counts = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": total}
            return {"usage": {**counts, "completion_tokens_details": details}}
        return {
            "usage": {
                "input_tokens": prompt,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": prompt},
                "output_tokens": made,
                "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
                "total_tokens": total,
            }
        }


OPENAI_IMAGES = ImageRules()
XAI_IMAGES = ImageRules(
    rules=XAI_RULES, strict=False, size="shape", formats=("jpeg",), base64="b64_json", usage="ticks", told="mime_type"
)
TOGETHER_IMAGES = ImageRules(
    rules=TOGETHER_RULES, strict=False, size="sides", formats=("jpeg", "png"), base64="base64", usage=""
)
OPENROUTER_IMAGES = ImageRules(
    path="/images",
    rules=OPENROUTER_RULES,
    strict=False,
    size="shape",
    formats=("jpeg",),
    usage="chat_tokens",
    told="media_type",
)


def words(value: Any) -> str:
    """Of a member that should be a text. Raises Refused."""
    if not isinstance(value, str) or not value:
        raise Refused("wrong_type", "The prompt is not a text.", param="prompt")
    return value
