"""What tests of captured content share: the conventions' JSON schemas, and SDK objects made of dicts."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry
from referencing.jsonschema import DRAFT7

SCHEMAS = Path(__file__).parent.parent / "schemas"
_NAMES = {
    "system": "gen-ai-system-instructions",
    "input": "gen-ai-input-messages",
    "output": "gen-ai-output-messages",
    "tools": "gen-ai-tool-definitions",
}


@cache
def _validator(field: str) -> Any:
    schema = json.loads((SCHEMAS / f"{_NAMES[field]}.json").read_text())
    draft = "http://json-schema.org/draft-07/schema"
    registry: Any = Registry().with_resource(
        draft, DRAFT7.create_resource(jsonschema.Draft7Validator.META_SCHEMA)
    )
    return jsonschema.Draft202012Validator(schema, registry=registry)


def conforms(field: str, value: Any) -> None:
    """Fail unless `value` has the published shape of `field` (`system`, `input`, `output` or `tools`)."""
    errors = [f"{error.json_path}: {error.message[:200]}" for error in _validator(field).iter_errors(value)]
    assert errors == []


def openai(model: str, data: dict[str, Any]) -> Any:
    """An object of the openai SDK, as it makes them of an answer: `chat.ChatCompletion`, `responses.Response`."""
    import openai.types.chat
    import openai.types.responses  # noqa: F401
    from openai._models import construct_type

    found: Any = __import__("openai").types
    for name in model.split("."):
        found = getattr(found, name)
    return construct_type(value=data, type_=found)


def anthropic(model: str, data: dict[str, Any]) -> Any:
    """An object of the anthropic SDK: `Message`, `RawMessageStreamEvent`, `beta.BetaMessage`."""
    import anthropic.types.beta  # noqa: F401
    from anthropic._models import construct_type

    found: Any = __import__("anthropic").types
    for name in model.split("."):
        found = getattr(found, name)
    return construct_type(value=data, type_=found)
