"""Google's embeddings: batchEmbedContents of the Gemini API, embedContent and predict of Vertex AI.

https://ai.google.dev/api/embeddings, https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from typing import Any

from local.simulators.providers.embeddings import Embedded
from local.simulators.providers.google_request import camel
from local.simulators.vectors import dimensions_of, in_numbers, tokens_of
from local.simulators.wire import FLAG, LIST, OBJECT, TEXT, Json, Refused, Rule, check_parameters, integer, require

CONFIG: dict[str, Rule] = {"taskType": TEXT, "title": TEXT, "outputDimensionality": integer(1)}
TASK_TYPES = (
    *("SEMANTIC_SIMILARITY", "CLASSIFICATION", "CLUSTERING", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"),
    *("CODE_RETRIEVAL_QUERY", "QUESTION_ANSWERING", "FACT_VERIFICATION"),
)
MAX_REQUESTS, MAX_INSTANCES = 100, 250
MAX_PREDICT_TOKENS = 20_000
CONTEXT_TOKENS = 2048


def read_batch(model: str, body: Json) -> Embedded:
    """Raises Refused. Only the newer models count tokens."""
    check_parameters(body, {"requests": LIST}, strict=True)
    require(body, "requests")
    requests = [camel(one) for one in body["requests"]]
    if not 1 <= len(requests) <= MAX_REQUESTS:
        message = f"BatchEmbedContentsRequest.requests: at most {MAX_REQUESTS} requests can be in one batch"
        raise Refused("out_of_range", message, param="requests")
    for one in requests:
        check_parameters(one, {"model": TEXT, "content": OBJECT, **CONFIG}, strict=True)
        if one.get("model") != f"models/{model}":
            raise Refused("wrong_type", "BatchEmbedContentsRequest.requests: model does not match.", param="requests")
        _check_task(one.get("taskType"))
    wanted = {_dimensions(model, one) for one in requests}

    def reply(asked: Embedded, tokens: int | None) -> Json:
        embeddings = [{"values": in_numbers(one, asked.dimensions)} for one in asked.inputs]
        return {"embeddings": embeddings, **_usage(model, tokens)}

    return Embedded(model, [_text(one.get("content")) for one in requests], wanted.pop(), reply)


def read_content(model: str, body: Json) -> Embedded:
    """Raises Refused."""
    body = camel(body)
    check_parameters(body, {"content": OBJECT, "embedContentConfig": OBJECT, **CONFIG}, strict=True)
    require(body, "content")
    config = body.get("embedContentConfig") or {}
    check_parameters(config, {**CONFIG, "autoTruncate": FLAG}, strict=True)
    _check_task(config.get("taskType"))
    text = _text(body["content"])
    _check_length(text, truncates=config.get("autoTruncate") is not False, most=4 * CONTEXT_TOKENS)

    def reply(asked: Embedded, tokens: int | None) -> Json:
        return {"embedding": {"values": in_numbers(asked.inputs[0], asked.dimensions)}, **_usage(model, tokens)}

    return Embedded(model, [text], _dimensions(model, config), reply)


def read_batched(model: str, body: Json) -> Embedded:
    """As an item of a batch, which counts the tokens beside the vector. Raises Refused."""
    body = camel(body)
    check_parameters(body, {"model": TEXT, "content": OBJECT, **CONFIG}, strict=True)
    require(body, "content")
    _check_task(body.get("taskType"))

    def reply(asked: Embedded, tokens: int | None) -> Json:
        counted = {} if tokens is None else {"tokenCount": str(tokens)}
        return {"embedding": {"values": in_numbers(asked.inputs[0], asked.dimensions)}, **counted}

    return Embedded(model, [_text(body["content"])], _dimensions(model, body), reply)


def read_predict(model: str, body: Json) -> Embedded:
    """Raises Refused."""
    check_parameters(body, {"instances": LIST, "parameters": OBJECT}, strict=True)
    require(body, "instances")
    instances, parameters = body["instances"], body.get("parameters") or {}
    check_parameters(parameters, {"autoTruncate": FLAG, "outputDimensionality": integer(1)}, strict=True)
    most = 1 if "gemini" in model else MAX_INSTANCES
    if not 1 <= len(instances) <= most:
        raise Refused("out_of_range", f"{len(instances)} instance(s) is not supported: at most {most}.")
    for one in instances:
        check_parameters(one, {"content": TEXT, "task_type": TEXT, "title": TEXT}, strict=True)
        require(one, "content")
        _check_task(one.get("task_type"))
    texts = [one["content"] for one in instances]
    for text in texts:
        _check_length(text, truncates=parameters.get("autoTruncate") is not False, most=CONTEXT_TOKENS)
    if sum(map(tokens_of, texts)) > MAX_PREDICT_TOKENS:
        raise Refused("out_of_range", f"The input token count exceeds {MAX_PREDICT_TOKENS}.")

    def reply(asked: Embedded, tokens: int | None) -> Json:
        return {"predictions": [_prediction(one, asked, tokens) for one in asked.inputs], **_characters(texts)}

    return Embedded(model, texts, _dimensions(model, parameters), reply)


def _prediction(text: Any, asked: Embedded, tokens: int | None) -> Json:
    statistics: Json = {"truncated": False}
    if tokens is not None:
        statistics["token_count"] = tokens_of(text) if len(asked.inputs) > 1 else tokens
    return {"embeddings": {"statistics": statistics, "values": in_numbers(text, asked.dimensions)}}


def _characters(texts: list[str]) -> Json:
    """White space is not billed."""
    return {"metadata": {"billableCharacterCount": sum(len("".join(text.split())) for text in texts)}}


def _text(content: Any) -> str:
    parts = (camel(content) or {}).get("parts") or []
    texts = [text for part in parts if isinstance(part, dict) and isinstance(text := part.get("text"), str) and text]
    if not texts or len(texts) != len(parts):
        raise Refused("empty", "content is empty.", param="content")
    return "\n".join(texts)


def _check_task(task: Any) -> None:
    if task is not None and task not in TASK_TYPES:
        raise Refused("wrong_type", f"Invalid value at 'task_type': {task}.", param="taskType")


def _check_length(text: str, *, truncates: bool, most: int) -> None:
    if not truncates and tokens_of(text) > most:
        raise Refused("out_of_range", f"The input token count is {tokens_of(text)}, the model supports up to {most}.")


def _dimensions(model: str, config: Json) -> int | None:
    wanted: int | None = config.get("outputDimensionality")
    if wanted is not None and wanted > dimensions_of(model):
        raise Refused("out_of_range", f"output_dimensionality must be at most {dimensions_of(model)}.")
    return wanted


def _usage(model: str, tokens: int | None) -> Json:
    if tokens is None or model.endswith("-001"):
        return {}
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return {"usageMetadata": {"promptTokenCount": tokens, "promptTokenDetails": details}}
