"""Facts of one model, as the files in `shared/catalog` state them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct, field

from gateway.model.units import Unit

SpeechFormat: TypeAlias = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pico-USD (10^-12 USD) per token, exact; None when the provider has no such price or it is unknown.

    `input` and `output` hold for what has no price of its own below.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_read_audio: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    input_audio: int | None = None
    output_audio: int | None = None
    output_image: int | None = None


class PriceTier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of a call whose `prompt_tokens` exceed `above_prompt_tokens`."""

    above_prompt_tokens: int
    prices: Prices


class UnitPrice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pico-USD for `per` of a unit: 6_000_000_000 for 60_000 "audio_ms" is $0.006 a minute.

    `variant`: for which kind of the unit it holds, "" for every kind that has no price of its own (`model/units.py`).
    """

    unit: Unit
    pico_usd: int
    per: int = 1
    variant: str = ""

    def pico_usd_of(self, count: int) -> int:
        """Rounded up."""
        return -(-count * self.pico_usd // self.per)


class EmbeddingFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`dimensions`: of a vector where none are asked for. Others can be asked for where they are in `choices`, or not
    fewer than `min_dimensions` and not more than `most_dimensions`.

    Of one request, where the model has limits other than its API's: `max_inputs`, and `max_tokens` of all together.
    `base64`: whether it answers in base64 too, where its API can.
    """

    dimensions: int | None = None
    choices: tuple[int, ...] = ()
    min_dimensions: int | None = None
    max_dimensions: int | None = None
    max_inputs: int | None = None
    max_tokens: int | None = None
    base64: bool = True

    @property
    def most_dimensions(self) -> int | None:
        return self.max_dimensions or self.dimensions


class AnySize(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sides are multiples of `step` pixels, in these bounds; `max_ratio`: of the longer side to the shorter one."""

    step: int
    min_side: int
    max_side: int
    min_pixels: int | None = None
    max_pixels: int | None = None
    max_ratio: int | None = None


class ImageFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a maker of images can be asked for; where a tuple is empty, that cannot be chosen.

    `sizes`: in pixels, the ones that it takes for "auto"; others where they are `any_size`. A model that is told shapes
    instead has `ratios`, and `resolutions` with its own choice first; `shapes` names those of them whose size in pixels
    is documented. `qualities`, `formats`: its own choice first. `max_prompt`: characters. `max_images`: of one request,
    where that is another number than the API's.
    `tokens`: the most of one image of up to 1.5 * 2^20 pixels, by quality or by resolution; of a larger one in
    proportion. `text_tokens`: the most that it writes and thinks besides.
    """

    sizes: tuple[str, ...] = ()
    any_size: AnySize | None = None
    ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    shapes: dict[str, str] = {}
    qualities: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    compression: bool = False
    moderation: bool = False
    max_prompt: int | None = None
    max_images: int | None = None
    tokens: dict[str, int] = {}
    text_tokens: int = 0


class ServiceTier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a call costs that was served on this tier, in place of the plain prices.

    `unasked`: an account can be set up so that calls which name no tier are served on it.
    """

    prices: Prices
    price_tiers: tuple[PriceTier, ...] = ()
    unasked: bool = False


class VideoSize(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`size`: "1280x720". `resolution`: as the provider calls it, and the variant of its price. `seconds`: of this
    size alone, where not every length of the model's is made in it.
    """

    size: str
    resolution: str
    aspect_ratio: str
    seconds: tuple[int, ...] = ()


class VideoFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a maker of videos. `sizes`: the first is made where none is asked for. `seconds`: lengths; `default_seconds`:
    where none is asked for. `picture`: whether a video may, must or cannot begin with one.
    """

    sizes: tuple[VideoSize, ...]
    seconds: tuple[int, ...]
    default_seconds: int
    picture: Literal["none", "optional", "required"] = "none"


class SpeechFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a speaker can be asked for. `voices`: its own; `other_voices`: takes ids of the owner's voices besides.
    `formats`: its own choice first. `min_speed`, `max_speed`: None where speed cannot be chosen. `max_input`:
    characters. `instructions`: whether it can be told how to speak.
    """

    voices: tuple[str, ...] = ()
    other_voices: bool = False
    formats: tuple[SpeechFormat, ...] = ()
    min_speed: float | None = None
    max_speed: float | None = None
    max_input: int | None = None
    instructions: bool = False


class TranscriptionFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model that writes down what is said can be asked for. `timestamps`: of what it tells the times.

    `language`, `languages`, `prompt`, `keywords`, `temperature`: whether it takes them. `logprobs`: whether it gives
    them. `max_bytes`: of one recording. `min_ms`: what is charged at least.
    """

    timestamps: tuple[Literal["word", "segment"], ...] = ()
    language: bool = False
    languages: bool = False
    prompt: bool = False
    keywords: bool = False
    temperature: bool = False
    logprobs: bool = False
    max_bytes: int | None = None
    min_ms: int = 0


InputMeasure: TypeAlias = Literal[
    "images", "documents", "videos", "image_side_px", "image_px", "pages", "document_pages", "audio_s"
]


class InputLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that one request may bring a model, as `source` says on the day `as_of`.

    `of`: how many "images", "documents", "videos"; the longer side of each image and all its pixels; the pages of all
    PDFs together and of each; seconds of all recordings together. `above_images`: it holds only in a request that has
    more images than this.
    """

    of: InputMeasure
    most: int
    above_images: int = 0
    source: str
    as_of: str


class Agentic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a model that searches, reads, or asks other models by itself.

    `most_pico_usd`: the most that one call can cost by that beside its prompt, its reply and its fees, as `source` says
    on the day `as_of`; None: nobody says.
    """

    most_pico_usd: int | None
    source: str
    as_of: str


class ModelFacts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`id`: as the provider names it. `api`: the wire it is spoken through (a key of the provider's wires for what the
    model does).

    `output_limit_field`: OpenAI's reasoning models refuse `max_tokens` and take `max_completion_tokens`.
    `sampling`: whether it accepts temperature and top_p. `reasoning_by`: how it is told how much to reason: "effort" by
    a named level (of `reasoning_efforts`, any when that is empty), "budget" by a number of tokens, None: not at all or
    unknown. `reasons`: when it does so, and `forced_tools`: when it can be made to call a tool; None: unknown.
    `tagged_thoughts`: its content begins with what it thinks, in `<think>` tags, unless it can be told otherwise.
    `demands_reasoning`: while it reasons, it refuses earlier calls of tools without the reasoning before them.
    `tools_api`: what is spoken in place of `api` when it has tools and reasons, which `api` refuses together.
    `background`: whether it may work longer than anybody should be connected, so that it is asked in the background.
    `dialect`: whose words its own parameters have, on a host of many makers that passes them on. `as_of`: date of the
    facts. `shutdown`: ISO date, when past the model is refused as deprecated. `image_tokens`: the most that one image
    of the prompt can count; None: unknown. `service_tiers`: by the name that a reply gives the tier that served it.
    `unit_prices`: of what is not charged by tokens. `agentic`: of a model that works by itself. `limits`: of what a
    chat may bring. `embedding`: of a maker of vectors. `image`: of a maker of images. `video`: of a maker of videos.
    `speech`: of a speaker. `transcription`: of a model that writes down what is said.
    """

    id: str
    name: str
    api: str = "chat_completions"
    source: str = ""
    as_of: str = ""
    released: str | None = None
    lifecycle: Literal["production", "preview", "deprecated"] = "production"
    shutdown: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    image_tokens: int | None = None
    input: tuple[str, ...] = ("text",)
    output: tuple[str, ...] = ("text",)
    capabilities: tuple[str, ...] = ()
    output_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    sampling: bool = True
    reasoning_by: Literal["effort", "budget"] | None = None
    reasoning_efforts: tuple[str, ...] = ()
    reasons: Literal["when_asked", "unless_told", "always"] | None = None
    forced_tools: Literal["always", "without_reasoning"] | None = None
    tagged_thoughts: bool = False
    demands_reasoning: bool = False
    tools_api: str | None = None
    background: bool = False
    dialect: Literal["anthropic", "nova", "openai"] | None = None
    prices: Prices | None = None
    price_tiers: tuple[PriceTier, ...] = ()
    service_tiers: dict[str, ServiceTier] = field(default_factory=dict)
    unit_prices: tuple[UnitPrice, ...] = ()
    agentic: Agentic | None = None
    embedding: EmbeddingFacts | None = None
    image: ImageFacts | None = None
    video: VideoFacts | None = None
    speech: SpeechFacts | None = None
    transcription: TranscriptionFacts | None = None
    limits: tuple[InputLimit, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the catalog has facts of it; a model passed on by name alone has none, so nothing is concluded."""
        return bool(self.source)

    def can(self, capability: str) -> bool:
        return not self.is_known or capability in self.capabilities


class ProviderCatalog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of `shared/catalog`.

    `open`: models not listed are passed on by name, without facts or price (a server of one's own).
    `maker`: this provider makes its models itself, so a bare model id means it rather than a host of the same model.
    """

    provider: str
    models: list[ModelFacts]
    open: bool = False
    maker: bool = False
