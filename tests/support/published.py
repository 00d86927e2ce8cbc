"""Reads the published conventions (YAML) into one shape, whatever the format of the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from otel_llm.semconv import names

_ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("OTEL_LLM_SEMCONV_DIR", _ROOT.parent / "shared" / "semconv"))
"""Where the conventions are looked for: beside the repository, or where the variable says."""

CORE = {
    names.ERROR_TYPE: "string",
    names.SERVER_ADDRESS: "string",
    names.SERVER_PORT: "int",
    names.EXCEPTION_TYPE: "string",
    names.EXCEPTION_MESSAGE: "string",
    names.EXCEPTION_STACKTRACE: "string",
    names.USER_ID: "string",
}
"""Names of OpenTelemetry's general conventions, which are not in the GenAI registry, and their types."""

Refs = dict[str, dict[str, Any]]


class Published:
    """Registry, spans, metrics and events of one version, with every reference resolved."""

    def __init__(self, *paths: str) -> None:
        self.types: dict[str, Any] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.spans: dict[str, dict[str, Any]] = {}
        self.metrics: dict[str, dict[str, Any]] = {}
        self.events: dict[str, dict[str, Any]] = {}
        for path in paths:
            loaded = yaml.safe_load((FOLDER / path).read_text(encoding="utf-8"))
            self._released(loaded.get("groups", ()))
            self._merged(loaded)

    def _released(self, groups: Any) -> None:
        for group in groups:
            self.groups[group["id"]] = group
            for item in group.get("attributes", ()):
                if "id" in item:
                    self.types[item["id"]] = item["type"]
            if group["type"] == "span":
                self.spans[group["id"].removeprefix("span.")] = {**group, "kind": group["span_kind"]}
            elif group["type"] == "metric":
                self.metrics[group["metric_name"]] = group
            elif group["type"] == "event":
                self.events[group["name"]] = group

    def _merged(self, loaded: dict[str, Any]) -> None:
        self.types |= {item["key"]: item["type"] for item in loaded.get("attributes", ())}
        self.groups |= {group["id"]: group for group in loaded.get("attribute_groups", ())}
        for span in loaded.get("spans", ()):
            self.spans[span["type"]] = span
            self.groups["span." + span["type"]] = span
        for span in loaded.get("span_refinements", ()):
            self.spans[span["id"]] = span
        self.metrics |= {item["name"]: item for item in loaded.get("metrics", ())}
        self.events |= {item["name"]: item for item in loaded.get("events", ())}

    def refs(self, group: dict[str, Any]) -> Refs:
        found: Refs = {}
        if "extends" in group:
            found |= self.refs(self.groups[group["extends"]])
        for item in group.get("attributes", ()):
            if "ref_group" in item:
                for name, inherited in self.refs(self.groups[item["ref_group"]]).items():
                    found[name] = {**found.get(name, {}), **inherited}
            elif "ref" in item:
                found[item["ref"]] = {**found.get(item["ref"], {}), **item}
        return found

    def type(self, name: str) -> str:
        """The type of an attribute; an enum is a string."""
        given = CORE.get(name) or self.types[name]
        return "string" if isinstance(given, dict) and "members" in given else str(given)

    def values(self, name: str) -> set[str] | None:
        given = self.types.get(name)
        return {member["value"] for member in given["members"]} if isinstance(given, dict) else None


def level(item: dict[str, Any]) -> str:
    given = item.get("requirement_level", "recommended")
    return given if isinstance(given, str) else next(iter(given))
