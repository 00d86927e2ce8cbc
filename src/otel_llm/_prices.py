"""What a call cost, from its token counts: the arithmetic, a user's table, and the table of `genai-prices`.

Amounts are US dollars as exact `Decimal`; rates are US dollars per million tokens, as providers publish them.
Where something that decides the price is not known (the model, the tier, a count), there is no price: not 0,
and not the price of something similar.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation, localcontext
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genai_prices.types import ModelInfo, ModelPrice, Provider

    from ._operation import Operation, Usage

__all__ = ["EXACT", "Price", "PublicPrices", "Table", "dollars"]

EXACT = Context(prec=60)
"""Wide enough that no sum or product of ours is ever rounded, whatever context the application has set."""

_MILLION = Decimal(1_000_000)
_MINUTE = 60 * 10**9

_STANDARD = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
"""Service tiers at list price; any other needs a price of its own."""

_SELLERS = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "meta_llama": "meta",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "novita_ai": "novita",
    "together_ai": "together",
    "x_ai": "x-ai",
}
"""`gen_ai.provider.name` -> provider in `genai-prices`, where they differ."""

_MODALITIES = {
    "audio.input": "input_audio_tokens",
    "image.input": "input_image_tokens",
    "video.input": "input_video_tokens",
    "audio.cache_read": "cache_audio_read_tokens",
    "image.cache_read": "cache_image_read_tokens",
    "audio.output": "output_audio_tokens",
    "image.output": "output_image_tokens",
    "video.output": "output_video_tokens",
}
"""Keys of `Usage.modalities` -> counts in `genai-prices`; text is what remains of the total."""


def dollars(value: Any) -> Decimal:
    """Read an amount exactly, a float as it is printed; ValueError unless it is finite and not negative."""
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"expected an amount of US dollars, not {value!r}")
    return amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model costs: US dollars per million tokens, and per call.

    A rate that is None is that of the more general kind: `cache_write_1h` falls back to `cache_write`, and
    the cache to `input`.
    Without `input` or `output`, calls that used such tokens have no price.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    """Writing to a cache that lives for minutes."""
    cache_write_1h: Decimal | None = None
    """Writing to a cache that lives for an hour (Anthropic)."""
    call: Decimal = Decimal(0)
    """US dollars for each call, whatever its size."""

    @classmethod
    def read(cls, given: Price | Mapping[str, Any]) -> Price:
        """Read a price from amounts by field name; ValueError for a bad amount or an unknown name."""
        if isinstance(given, Price):
            return given
        unknown = sorted(set(given) - {item.name for item in fields(cls)})
        if unknown:
            raise ValueError(f"a price has no {unknown}; it has {[item.name for item in fields(cls)]}")
        return cls(**{name: dollars(value) for name, value in given.items() if value is not None})

    def of(self, usage: Usage) -> Decimal | None:
        """What these tokens cost; None where a count or rate is missing, or counts contradict themselves."""
        taken, given = usage.input, usage.output
        if taken is None or (given is None and self.output):
            return None
        if (taken and self.input is None) or (given and self.output is None):
            return None
        hour = usage.cache_write_1h or 0
        write = usage.cache_write
        if write is None:
            write = (usage.cache_write_5m or 0) + hour
        read = usage.cache_read or 0
        plain = taken - read - write
        if plain < 0 or hour > write:
            return None
        input_ = self.input or Decimal(0)
        write_rate = input_ if self.cache_write is None else self.cache_write
        with localcontext(EXACT):
            total = plain * input_
            if given and self.output is not None:
                total += given * self.output
            if read:
                total += read * (input_ if self.cache_read is None else self.cache_read)
            if write:
                total += (write - hour) * write_rate
                total += hour * (write_rate if self.cache_write_1h is None else self.cache_write_1h)
            return total / _MILLION + self.call


def _tier(op: Operation) -> str:
    """The tier that answered, else the one asked for; empty for the list price."""
    tier = op.server.service_tier if op.server is not None else None
    name = str(tier or op.parameters.get("service_tier") or "").lower()
    return "" if name in _STANDARD else name


def _models(op: Operation) -> tuple[str, ...]:
    """The names to look up, best first: what answered, then what was asked for; with Bedrock the other way round.

    There the request names region and model, on which the price depends, the response only the model.
    """
    names = (op.request_model, op.response_model)
    if op.provider != "aws.bedrock":
        names = names[::-1]
    return tuple(name for name in names if name)


def _listed(op: Operation) -> tuple[str, ...]:
    """Of these names those that a list price may go by.

    An Azure request names a deployment, which may be called like a model that it is not.
    Where a request to Bedrock names a profile, nobody knows the region, and what answered has a price in each.
    """
    names = _models(op)
    if op.provider.startswith("azure."):
        return names[:1] if op.response_model else ()
    return names[:1] if op.provider == "aws.bedrock" else names


def _counts(op: Operation) -> Usage | None:
    """The provider's counts. An estimate is not billed."""
    usage = op.usage
    return usage if usage is not None and usage.source == "provider" else None


class Table:
    """Prices by model name: `{"my-model": {"input": "0.70", "output": "2.80"}}`.

    A key is a model, `provider/model`, or a pattern with `*` of either; the longest that fits decides.
    A tier that is not the provider's standard one needs its own entry, `model@tier`: `gpt-4o@batch`.
    """

    __slots__ = ("_exact", "_patterns")

    def __init__(self, prices: Mapping[str, Price | Mapping[str, Any]]) -> None:
        read = {name.lower(): Price.read(price) for name, price in prices.items()}
        self._exact = {name: price for name, price in read.items() if "*" not in name}
        self._patterns = sorted(
            (item for item in read.items() if "*" in item[0]), key=lambda item: -len(item[0])
        )

    def __call__(self, op: Operation) -> Decimal | None:
        """What the call cost by this table, None where it has no price for it."""
        usage = _counts(op)
        if usage is None:
            return None
        tier = _tier(op)
        for model in _models(op):
            name = (f"{model}@{tier}" if tier else model).lower()
            price = self._find(f"{op.provider}/{name}", tier) or self._find(name, tier)
            if price is not None:
                return price.of(usage)
        return None

    def _find(self, name: str, tier: str) -> Price | None:
        """A pattern for the standard tier is for no other: `gpt-4o*` is not a price for `gpt-4o@batch`."""
        if (price := self._exact.get(name)) is not None:
            return price
        end = f"@{tier}" if tier else ""
        return next(
            (
                price
                for pattern, price in self._patterns
                if pattern.endswith(end) and fnmatchcase(name, pattern)
            ),
            None,
        )


class PublicPrices:
    """List prices of providers, from `genai-prices` (extra `cost`), imported when the first call is priced.

    Never uses the network. Where the program lets `genai_prices.UpdatePrices` fetch a newer table, it counts
    within a minute.
    """

    __slots__ = ("_card",)

    def __init__(self) -> None:
        """Raise ImportError, naming the extra, when `genai-prices` is not installed."""
        if find_spec("genai_prices") is None:
            raise ImportError("list prices need genai-prices: pip install 'otel-llm[cost]'")
        self._card = lru_cache(maxsize=4096)(_look_up)

    def __call__(self, op: Operation) -> Decimal | None:
        """What the call cost by list price, None where that is not known."""
        usage = _counts(op)
        if usage is None or not op.known_host:
            return None
        variant = _variant(op)
        minute = (op.start_time or time.time_ns()) // _MINUTE
        for model in _listed(op):
            card = self._card(op.provider, model, variant, minute)
            if card is not None:
                return card.of(usage)
        return None


def _variant(op: Operation) -> tuple[tuple[str, str], ...]:
    """What makes this call's price differ from the list price, in the words of `genai-prices`."""
    pairs: list[tuple[str, str]] = []
    if tier := _tier(op):
        pairs.append(("processing", "batch") if tier == "batch" else ("service_tier", tier))
    for name, usual in (("speed", "standard"), ("inference_geo", "global")):
        value = op.parameters.get(name)
        if value and value not in (usual, "not_available"):
            pairs.append((name, str(value)))
    return tuple(pairs)


def _look_up(provider: str, model: str, variant: tuple[tuple[str, str], ...], minute: int) -> _Card | None:
    """The prices in force in a minute, as no constraint in the table is finer; slow, so it is cached."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - 1.6 MB of prices

    snapshot = get_snapshot()
    wanted = _SELLERS.get(provider, provider)
    seller = next((item for item in snapshot.providers if item.id == wanted), None)
    if seller is None:
        return None
    try:
        _, info = snapshot.find_provider_model(model, seller, None, None)
    except LookupError:
        return None
    when = datetime.fromtimestamp(minute * 60, UTC)
    context = dict(variant)
    if context and not _has_variant(seller, info, context, when):
        return None
    return _Card(info.get_prices(when, context))


def _has_variant(seller: Provider, info: ModelInfo, context: dict[str, str], when: datetime) -> bool:
    """Whether the table has these very prices: it falls back to the standard ones in silence.

    A model that Azure's table borrows from another provider does not have that provider's variants.
    """
    return any(info is model for model in seller.models) and any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(when))
        for variant in info.price_variants or ()
    )


_PLAIN = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
}
"""Rates in `genai-prices` -> ours."""

_UNUSED = frozenset({"requests_kcount", "web_searches_kcount", "storage_searches_kcount"})


class _Card:
    """The rates of one model: a `Price` per step of prompt length, and the table's object for odd counts."""

    __slots__ = ("_detailed", "_prices", "_steps")

    def __init__(self, prices: ModelPrice) -> None:
        rates = {name: rate for name, rate in vars(prices).items() if rate is not None}
        self._prices = prices
        self._detailed = not rates.keys() <= _PLAIN.keys() | _UNUSED
        starts = {
            step.start for rate in rates.values() if not isinstance(rate, Decimal) for step in rate.tiers
        }
        self._steps = tuple((start, _at(rates, start)) for start in sorted({-1, *starts}, reverse=True))

    def of(self, usage: Usage) -> Decimal | None:
        """What these tokens cost; None where the table cannot tell."""
        if self._detailed and (usage.modalities or usage.reasoning):
            return self._in_detail(usage)
        taken = usage.input or 0
        return next(price for start, price in self._steps if taken > start).of(usage)

    def _in_detail(self, usage: Usage) -> Decimal | None:
        """By the table's own arithmetic, which is slow: per modality, and for reasoning."""
        from genai_prices import Usage as Counts  # noqa: PLC0415 - as above

        if usage.input is None or usage.output is None:
            return None
        counts: dict[str, int | None] = {
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cache_read_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "cache_write_1h_tokens": usage.cache_write_1h,
            "output_reasoning_tokens": usage.reasoning,
        }
        for name, count in (usage.modalities or {}).items():
            if name in _MODALITIES:
                counts[_MODALITIES[name]] = count
        with localcontext(EXACT):
            try:
                return dollars(self._prices.calc_price(Counts(**counts))["total_price"])
            except ValueError:  # the counts contradict each other, or leave open how they overlap
                return None


def _at(rates: Mapping[str, Any], start: int) -> Price:
    """The rates for prompts longer than `start` tokens, up to the next step."""

    def at(rate: Any) -> Decimal:
        if isinstance(rate, Decimal):
            return rate
        price: Decimal = next((step.price for step in reversed(rate.tiers) if step.start <= start), rate.base)
        return price

    per_call = rates.get("requests_kcount")
    return Price(
        **{ours: at(rates[theirs]) for theirs, ours in _PLAIN.items() if theirs in rates},
        call=Decimal(0) if per_call is None else EXACT.divide(at(per_call), Decimal(1000)),
    )
