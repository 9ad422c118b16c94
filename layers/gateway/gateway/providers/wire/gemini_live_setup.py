"""The first message of a Live session, and what Gemini cannot honour of a session's configuration.

Sources: https://ai.google.dev/api/live, https://ai.google.dev/gemini-api/docs/live-guide (2026-11)
"""

from __future__ import annotations

from typing import Any, NoReturn

from msgspec import UNSET

from gateway.model.catalog import ModelFacts
from gateway.model.chat import Json
from gateway.model.errors import CapabilityNotSupported
from gateway.model.realtime import (
    Audio,
    AudioInput,
    AudioOutput,
    FunctionTool,
    Pcm,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Tool,
    Transcription,
)
from gateway.providers.wire.gemini_schema import gemini_schema

OUTPUT_RATE_HZ = 24_000
OWN_VAD = ("prefix_padding_ms", "silence_duration_ms", "create_response", "interrupt_response")


def audio_input(config: SessionConfig) -> AudioInput:
    audio = config.audio if isinstance(config.audio, Audio) else Audio()
    return audio.input if isinstance(audio.input, AudioInput) else AudioInput()


def audio_output(config: SessionConfig) -> AudioOutput:
    audio = config.audio if isinstance(config.audio, Audio) else Audio()
    return audio.output if isinstance(audio.output, AudioOutput) else AudioOutput()


def is_spoken(config: SessionConfig) -> bool:
    return config.output_modalities in (UNSET, ["audio"])


def input_rate_hz(config: SessionConfig) -> int:
    sound = audio_input(config).format
    return sound.rate if isinstance(sound, Pcm) else OUTPUT_RATE_HZ


def check_config(config: SessionConfig, model: ModelFacts) -> None:
    """Raises CapabilityNotSupported (400) that names the member."""
    wanted = "audio" if is_spoken(config) else "text"
    if model.is_known and wanted not in model.output:
        _lacks(f"{model.id} answers in {' or '.join(model.output)} only.", "output_modalities")
    if config.tool_choice not in (UNSET, "auto", "none"):
        _lacks("Gemini cannot be made to call a function in a session.", "tool_choice")
    if config.parallel_tool_calls is False:
        _lacks("Gemini decides itself how many functions it calls at once.", "parallel_tool_calls")
    if isinstance(config.truncation, dict):
        _lacks("Gemini has its own rule of what it forgets: auto or disabled.", "truncation")
    if config.include:
        _lacks("Gemini gives no log probabilities.", "include")
    for at, tool in enumerate(config.tools or ()):
        if not isinstance(tool, FunctionTool):
            _lacks("Only functions go to the provider.", f"tools[{at}].type")
    _thinking(config, model)
    _check_heard(audio_input(config))
    _check_said(audio_output(config))


def setup_message(config: SessionConfig, model: ModelFacts, handle: str | None) -> Json:
    """`handle`: of the session that is gone on with."""
    generation: Json = {"responseModalities": ["AUDIO" if is_spoken(config) else "TEXT"]}
    if (voice := audio_output(config).voice) is not UNSET:
        generation["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    if isinstance(config.max_output_tokens, int):
        generation["maxOutputTokens"] = config.max_output_tokens
    setup: Json = {
        "model": model.id if "/" in model.id else f"models/{model.id}",
        "generationConfig": generation | _thinking(config, model),
        "sessionResumption": {"handle": handle} if handle else {},
        "realtimeInputConfig": _turns(audio_input(config)),
    }
    if config.instructions:
        setup["systemInstruction"] = {"parts": [{"text": config.instructions}]}
    if config.tools and config.tool_choice != "none":
        setup["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in config.tools]}]
    if isinstance(written := audio_input(config).transcription, Transcription):
        setup["inputAudioTranscription"] = {"languageCodes": [written.language]} if written.language else {}
    if is_spoken(config):
        setup["outputAudioTranscription"] = {}
    if config.truncation != "disabled":
        setup["contextWindowCompression"] = {"slidingWindow": {}}
    return {"setup": setup}


def _lacks(why: str, member: str) -> NoReturn:
    raise CapabilityNotSupported(why, param=f"session.{member}")


def _check_heard(heard: AudioInput) -> None:
    """PCM of any rate is taken, and resampled by Google: https://ai.google.dev/gemini-api/docs/live-guide"""
    if heard.format is not UNSET and not isinstance(heard.format, Pcm):
        _lacks("Gemini hears audio/pcm only.", "audio.input.format.type")
    if heard.noise_reduction not in (UNSET, None):
        _lacks("Gemini offers no noise reduction.", "audio.input.noise_reduction")
    if isinstance(written := heard.transcription, Transcription):
        if written.model:
            _lacks("Gemini writes down itself what it hears: name no model.", "audio.input.transcription.model")
        if written.prompt:
            _lacks("Gemini takes no words of context.", "audio.input.transcription.prompt")
    _check_turns(heard)


def _check_turns(heard: AudioInput) -> None:
    if isinstance(heard.turn_detection, SemanticVad):
        _lacks("Gemini tells turns apart as server_vad does.", "audio.input.turn_detection.type")
    if isinstance(vad := heard.turn_detection, ServerVad):
        for name in vad.__struct_fields__:
            if name not in OWN_VAD and getattr(vad, name) is not None:
                _lacks(f"Gemini has no {name}.", f"audio.input.turn_detection.{name}")
        if vad.create_response is False:
            _lacks("Gemini answers every turn that it detects.", "audio.input.turn_detection.create_response")


def _check_said(said: AudioOutput) -> None:
    if said.format is not UNSET and said.format != Pcm(rate=OUTPUT_RATE_HZ):
        _lacks(f"Gemini speaks audio/pcm of {OUTPUT_RATE_HZ} Hz only.", "audio.output.format")
    if said.speed not in (UNSET, 1, 1.0):
        _lacks("How fast Gemini speaks cannot be set.", "audio.output.speed")


def _turns(heard: AudioInput) -> Json:
    vad = heard.turn_detection
    if vad is None:
        return {"automaticActivityDetection": {"disabled": True}}
    if not isinstance(vad, ServerVad):
        return {}
    named: dict[str, Any] = {"prefixPaddingMs": vad.prefix_padding_ms, "silenceDurationMs": vad.silence_duration_ms}
    turns: Json = {}
    if detection := {name: value for name, value in named.items() if value is not None}:
        turns["automaticActivityDetection"] = detection
    if vad.interrupt_response is False:
        turns["activityHandling"] = "NO_INTERRUPTION"
    return turns


def _thinking(config: SessionConfig, model: ModelFacts) -> Json:
    effort = config.reasoning.effort if config.reasoning else None
    if effort is None:
        return {}
    if model.reasoning_by != "effort" or effort not in model.reasoning_efforts:
        efforts = ", ".join(model.reasoning_efforts) or "an effort of its own choice"
        _lacks(f"{model.id} reasons at: {efforts}.", "reasoning.effort")
    return {"thinkingConfig": {"thinkingLevel": effort.upper()}}


def _declaration(tool: Tool) -> Json:
    if not isinstance(tool, FunctionTool):
        raise TypeError(tool)
    declaration: Json = {"name": tool.name}
    if tool.description is not None:
        declaration["description"] = tool.description
    if tool.parameters is not None:
        declaration["parametersJsonSchema"] = gemini_schema(tool.parameters)
    return declaration
