"""What a version of the conventions is made of: plain frozen data, and the instruments made from it.

Named tuples, here and elsewhere: to make the class of one takes a fifth of the time that a frozen dataclass takes, and
programs pay for that whenever they start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from opentelemetry.context import Context

from . import names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from opentelemetry.metrics import CallbackOptions, Meter, Observation

    from otel_llm._operation import Operation

__all__ = [
    "DURATION_BUCKETS",
    "NO_SPAN",
    "TOKEN_BUCKETS",
    "Attribute",
    "Convention",
    "Event",
    "Instrument",
    "Metrics",
    "SpanForm",
]

Type = Literal["string", "int", "double", "boolean", "string[]", "int[]", "double[]", "any"]
"""The conventions' words; `any` is a JSON string on spans and structured on events."""

Number = Literal["int", "double"]

Requirement = Literal["required", "conditionally_required", "recommended", "opt_in"]

NO_SPAN: Context = Context({"otel_llm": None})
"""A context without a span: no exemplar is offered for what is recorded in it.

Not an empty one, which the SDK takes for none, and then for the current one.
"""

DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Seconds: the boundaries the conventions give for every client duration."""

TOKEN_BUCKETS = tuple(4**power for power in range(14))
"""Tokens: the conventions' boundaries, 1, 4, 16, ... 67108864."""


class Attribute(NamedTuple):
    """One attribute, as it stands on a span or an event."""

    name: str
    type: Type
    requirement: Requirement = "recommended"
    when: str = ""
    """The condition, in words; empty when it is always set if known."""
    brief: str = ""
    values: tuple[str, ...] | None = None
    """The well-known values; None when the value is free."""
    open: bool = True
    """Whether other values than `values` are allowed."""
    unit: str = ""
    """UCUM, where a number has one: a name holds no unit."""
    at_start: bool = False
    """Set when the span starts, so that a sampler sees it."""


class Instrument(NamedTuple):
    """One metric."""

    name: str
    kind: Literal["histogram", "counter", "updowncounter", "gauge"]
    unit: str
    type: Number
    required: tuple[str, ...] = ()
    """Names of attributes that every point has."""
    optional: tuple[str, ...] = ()
    """Names of attributes that a point can have; it has no others."""
    buckets: tuple[float, ...] | None = None
    """Advised boundaries of a histogram."""
    group: str = ""
    """What switches it on and off (`Metrics(kinds=...)`): one of `semconv.GROUPS`."""
    brief: str = ""
    when: str = ""
    observable: bool = False
    """Read by a callback when metrics are collected."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """All names of attributes that a point can have."""
        return self.required + self.optional

    def create(
        self,
        meter: Meter,
        callbacks: Sequence[Callable[[CallbackOptions], Iterable[Observation]]] | None = None,
    ) -> Any:
        """Make the instrument; `callbacks` is for observable ones alone."""
        if self.kind == "histogram":
            return meter.create_histogram(
                self.name, self.unit, self.brief, explicit_bucket_boundaries_advisory=self.buckets
            )
        if self.observable:
            make: Any = getattr(meter, _OBSERVABLE[self.kind])
            return make(self.name, callbacks, self.unit, self.brief)
        make = getattr(meter, _SYNCHRONOUS[self.kind])
        return make(self.name, self.unit, self.brief)


_SYNCHRONOUS = {
    "counter": "create_counter",
    "updowncounter": "create_up_down_counter",
    "gauge": "create_gauge",
}
_OBSERVABLE = {
    "counter": "create_observable_counter",
    "updowncounter": "create_observable_up_down_counter",
    "gauge": "create_observable_gauge",
}


class SpanForm(NamedTuple):
    """What a span of some operations looks like."""

    id: str
    """The conventions' name of the span type."""
    operations: tuple[str, ...]
    """The values of `gen_ai.operation.name` it is for; empty: every other."""
    kind: Literal["client", "internal"]
    attributes: tuple[Attribute, ...]
    subject: str | None = None
    """The attribute whose value follows the operation in the span's name, when it is known."""
    brief: str = ""

    def name(self, attributes: Mapping[str, Any]) -> str:
        """The name a span with these attributes has."""
        operation = str(attributes[names.OPERATION_NAME])
        subject = attributes.get(self.subject) if self.subject else None
        return f"{operation} {subject}" if subject else operation


class Event(NamedTuple):
    """One event: a log record with an event name."""

    name: str
    severity: int
    """The severity number of the log data model."""
    attributes: tuple[Attribute, ...]
    brief: str = ""
    when: str = ""


class Metrics(Protocol):
    """The convention's instruments of one meter, on the hot path."""

    def end(
        self, op: Operation, ended: dict[str, Any], attributes: dict[str, Any], context: Context | None
    ) -> None:
        """Record what an ended call gives.

        `attributes`: what all metrics of the call share; `ended` also tells the outcome, and `error.type` exactly
        when the call failed: the duration has these.
        Neither is kept or changed.
        `context` is for the duration alone: the offer of an exemplar costs every record, and one is enough.
        """

    def gaps(self, values: Iterable[float], attributes: dict[str, Any]) -> None:
        """Record seconds between chunks. `attributes` have no outcome and no error: the stream still runs."""


class MakeMetrics(Protocol):
    """How a convention makes its instruments."""

    def __call__(self, meter: Meter, *, kinds: Collection[str]) -> Metrics:
        """Make the instruments whose `group` is in `kinds`."""
        ...


class Convention(NamedTuple):
    """One version of the conventions."""

    version: str
    schema_url: str | None
    """The released schema that everything emitted conforms to; None where there is none."""
    parameters: Mapping[str, str]
    """From names in `Operation.parameters` to attributes."""
    doubles: frozenset[str]
    """The parameters that are whole numbers in requests and doubles in this version."""
    usage: tuple[tuple[str, str], ...]
    """From fields of `Usage` to span attributes."""
    modalities: Mapping[str, str]
    """From keys of `Usage.modalities` to span attributes."""
    points: tuple[Attribute, ...]
    """Attributes that are on metric points and on no span."""
    spans: tuple[SpanForm, ...]
    instruments: tuple[Instrument, ...]
    events: tuple[Event, ...]
    metrics: MakeMetrics

    def form(self, operation: str) -> SpanForm:
        """The form of spans of `operation`; the last form takes what no other names."""
        for form in self.spans:
            if operation in form.operations:
                return form
        return self.spans[-1]

    def fill_request(self, op: Operation, into: dict[str, Any]) -> None:
        """Set the attributes of the request's parameters; those unknown to this version are left out."""
        for name, value in op.parameters.items():
            attribute = self.parameters.get(name)
            if attribute is None:
                continue
            if name == "service_tier" and op.api is None:
                attribute = names.OWN_REQUEST_SERVICE_TIER  # openai.* is for OpenAI's own API flavours
            into[attribute] = float(value) if name in self.doubles else value

    def fill_modalities(self, counts: Mapping[str, int], into: dict[str, Any]) -> None:
        """Set the attributes of `Usage.modalities`; those unknown to this version are left out."""
        for key, value in counts.items():
            if key in self.modalities:
                into[self.modalities[key]] = value
