"""Plain answers of what is no chat, vector or picture, one for each wire, for tests that spoil them."""

from __future__ import annotations

from typing import Any

SOUND = "AAAA" * 8
GEMINI_USAGE = {
    "promptTokenCount": 12,
    "candidatesTokenCount": 8,
    "totalTokenCount": 20,
    "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}, {"modality": "TEXT", "tokenCount": 2}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}],
}
OPENAI_USAGE = {
    "type": "tokens",
    "input_tokens": 14,
    "output_tokens": 45,
    "total_tokens": 59,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
}
REALTIME_USAGE = {
    "total_tokens": 330,
    "input_tokens": 250,
    "output_tokens": 80,
    "input_token_details": {
        "text_tokens": 150,
        "audio_tokens": 100,
        "cached_tokens": 128,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 64},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 60},
}


def of_gemini(part: dict[str, Any]) -> dict[str, Any]:
    content = {"parts": [part], "role": "model"}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": GEMINI_USAGE,
        "modelVersion": "m",
        "responseId": "r",
    }


HEARD = of_gemini({"text": "Good evening."})
SPOKEN = of_gemini({"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": SOUND}})
IMAGEN = {
    "predictions": [
        {"bytesBase64Encoded": SOUND, "mimeType": "image/png", "prompt": "A lighthouse"},
        {"raiFilteredReason": "No."},
    ]
}
TRANSCRIPTS: dict[str, Any] = {
    "openai": {
        "text": "Good evening.",
        "language": "english",
        "duration": 1.2,
        "segments": [
            {"id": 0, "seek": 0, "start": 0.0, "end": 1.2, "text": "Good evening.", "tokens": [1], "temperature": 0}
        ],
        "words": [{"word": "Good", "start": 0.0, "end": 0.5}],
        "usage": OPENAI_USAGE,
    },
    "groq": {"text": "Good evening.", "duration": 1.2, "words": [{"word": "Good", "start": 0.0, "end": 0.5}]},
    "google": HEARD,
    "deepgram": {
        "metadata": {"duration": 1.2},
        "results": {
            "channels": [
                {
                    "detected_language": "en",
                    "alternatives": [
                        {
                            "transcript": "Good evening.",
                            "words": [{"word": "good", "start": 0.1, "end": 0.4, "punctuated_word": "Good"}],
                        }
                    ],
                }
            ],
            "utterances": [{"start": 0.1, "end": 0.9, "transcript": "Good evening."}],
        },
    },
    "elevenlabs": {
        "text": "Good evening.",
        "language_code": "eng",
        "words": [
            {"text": "Good", "type": "word", "start": 0.1, "end": 0.4},
            {"text": " ", "type": "spacing", "start": 0.4, "end": 0.5},
        ],
        "audio_duration_secs": 1.2,
    },
}
TRANSCRIPT_EVENTS: dict[str, list[Any]] = {
    "openai": [
        {"type": "transcript.text.delta", "delta": "Good", "logprobs": [{"token": "Good", "logprob": -0.1}]},
        {"type": "transcript.text.done", "text": "Good evening.", "usage": OPENAI_USAGE},
    ],
    "google": [HEARD, HEARD],
}
SPEECH_EVENTS: dict[str, list[Any]] = {
    "openai": [
        {"type": "speech.audio.delta", "audio": SOUND},
        {"type": "speech.audio.done", "usage": {"input_tokens": 4, "output_tokens": 20, "total_tokens": 24}},
    ],
    "google": [SPOKEN, SPOKEN],
    "vertex": [SPOKEN, SPOKEN],
}
VIDEOS: dict[str, list[Any]] = {
    "google": [
        {"name": "models/m/operations/o"},
        {
            "name": "models/m/operations/o",
            "done": True,
            "response": {
                "generateVideoResponse": {
                    "generatedSamples": [
                        {"video": {"uri": "https://generativelanguage.googleapis.com/v1beta/files/f"}}
                    ],
                    "raiMediaFilteredReasons": ["No."],
                }
            },
        },
        {"name": "models/m/operations/o", "done": True, "error": {"code": 8, "message": "Too many."}},
    ],
    "runway": [
        {"id": "task"},
        {"id": "task", "status": "RUNNING", "progress": 0.5},
        {"id": "task", "status": "SUCCEEDED", "output": ["https://example.com/v.mp4"]},
        {"id": "task", "status": "FAILED", "failure": "No.", "failureCode": "SAFETY.INPUT.TEXT"},
    ],
    "xai": [
        {"request_id": "r"},
        {"status": "pending", "progress": 50},
        {
            "status": "done",
            "video": {"url": "https://example.com/v.mp4", "duration": 2, "respect_moderation": True},
            "usage": {"cost_in_usd_ticks": 500},
        },
        {"status": "failed", "error": {"code": "x", "message": "No."}},
    ],
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "o3-pro",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "4", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
}
BACKGROUND: dict[str, list[Any]] = {
    "openai": [
        {**RESPONSE, "status": "queued", "output": []},
        RESPONSE,
        {**RESPONSE, "status": "failed", "error": {"code": "x", "message": "No."}},
    ],
    "perplexity": [
        {"id": "a", "status": "CREATED"},
        {"id": "a", "status": "COMPLETED", "response": COMPLETION},
        {"id": "a", "status": "FAILED", "error_message": "No."},
    ],
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "4"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 5},
}
OPENAI_LINE = {"id": "b", "custom_id": "item-1", "response": {"status_code": 200, "body": COMPLETION}, "error": None}
BATCH_LINES: dict[str, list[Any]] = {
    "openai": [OPENAI_LINE, {**OPENAI_LINE, "response": None, "error": {"code": "batch_expired", "message": "No."}}],
    "groq": [OPENAI_LINE],
    "mistral": [OPENAI_LINE],
    "anthropic": [
        {"custom_id": "item-1", "result": {"type": "succeeded", "message": MESSAGE}},
        {
            "custom_id": "item-2",
            "result": {"type": "errored", "error": {"type": "error", "error": {"type": "x", "message": "No."}}},
        },
    ],
    "google": [{"key": "item-1", "response": HEARD}, {"key": "item-2", "error": {"code": 3, "message": "No."}}],
}
OPENAI_BATCH = {
    "id": "b",
    "object": "batch",
    "status": "completed",
    "input_file_id": "in",
    "output_file_id": "out",
    "error_file_id": "err",
    "request_counts": {"total": 5, "completed": 3, "failed": 1},
    "errors": {"object": "list", "data": [{"code": "invalid_json", "message": "Line 2 is no JSON.", "line": 2}]},
    "metadata": {"label": "label"},
}
BATCH_STATES: dict[str, list[Any]] = {
    "openai": [OPENAI_BATCH, {**OPENAI_BATCH, "status": "failed"}],
    "groq": [OPENAI_BATCH],
    "mistral": [
        {
            "id": "b",
            "status": "SUCCESS",
            "total_requests": 5,
            "succeeded_requests": 3,
            "failed_requests": 1,
            "output_file": "out",
            "error_file": "err",
            "errors": [{"message": "No.", "count": 1}],
            "metadata": {"label": "label"},
        }
    ],
    "anthropic": [
        {
            "id": "b",
            "type": "message_batch",
            "processing_status": "ended",
            "request_counts": {"processing": 0, "succeeded": 3, "errored": 1, "canceled": 0, "expired": 1},
            "results_url": "https://api.anthropic.com/v1/messages/batches/b/results",
        }
    ],
    "google": [
        {
            "name": "batches/b",
            "metadata": {
                "state": "BATCH_STATE_SUCCEEDED",
                "displayName": "label",
                "batchStats": {"requestCount": "5", "successfulRequestCount": "3", "failedRequestCount": "1"},
                "output": {"responsesFile": "files/out"},
            },
            "done": True,
            "response": {"responsesFile": "files/out"},
        }
    ],
}
REALTIME: dict[str, list[Any]] = {
    "openai": [
        {"type": "session.created", "event_id": "e", "session": {"id": "s", "model": "m", "expires_at": 1}},
        {"type": "session.updated", "event_id": "e", "session": {"id": "s", "model": "m"}},
        {"type": "input_audio_buffer.speech_started", "event_id": "e", "audio_start_ms": 5, "item_id": "i"},
        {
            "type": "conversation.item.added",
            "event_id": "e",
            "previous_item_id": None,
            "item": {"id": "i", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        },
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "event_id": "e",
            "item_id": "i",
            "content_index": 0,
            "transcript": "Hi",
            "usage": OPENAI_USAGE,
        },
        {"type": "response.created", "event_id": "e", "response": {"id": "r", "status": "in_progress", "output": []}},
        {"type": "response.output_audio.delta", "event_id": "e", "response_id": "r", "item_id": "j", "delta": SOUND},
        {
            "type": "response.done",
            "event_id": "e",
            "response": {"id": "r", "status": "completed", "output": [], "usage": REALTIME_USAGE},
        },
        {"type": "error", "event_id": "e", "error": {"type": "invalid_request_error", "code": "x", "message": "No."}},
    ],
    "google": [
        {"setupComplete": {}},
        {"serverContent": {"inputTranscription": {"text": "Hi"}}},
        {
            "serverContent": {
                "modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": SOUND}}]},
                "outputTranscription": {"text": "Hello"},
            }
        },
        {"toolCall": {"functionCalls": [{"id": "c", "name": "find", "args": {"a": 1}}]}},
        {"serverContent": {"interrupted": True}},
        {
            "serverContent": {"generationComplete": True, "turnComplete": True},
            "usageMetadata": {
                "promptTokenCount": 10,
                "responseTokenCount": 5,
                "totalTokenCount": 15,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}],
                "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
            },
        },
        {"sessionResumptionUpdate": {"newHandle": "h", "resumable": True}},
        {"goAway": {"timeLeft": "10s"}},
    ],
}
