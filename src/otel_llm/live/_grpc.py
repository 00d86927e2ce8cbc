"""OTLP/gRPC: the same three services on a port of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc import aio

from ._otlp import MAX_BODY, SIGNALS, BadBody
from ._receiver import Busy

if TYPE_CHECKING:
    from ._otlp import Otlp
    from ._security import Policy

__all__ = ["GrpcServer"]


class GrpcServer:
    """A gRPC server; `tls`: the files of a certificate and its key. Raises OSError for those.

    Nothing that it holds refers to it, so that it is freed where it is dropped: a server of grpc's that is left
    to the garbage collector is freed in a forked child as well, and waits there for ever for a thread of grpc's.
    """

    def __init__(self, otlp: Otlp, policy: Policy, *, tls: tuple[str, str] | None = None) -> None:
        self._tls = None
        if tls is not None:
            cert, key = (Path(name).read_bytes() for name in tls)
            self._tls = grpc.ssl_server_credentials([(key, cert)])
        self._server = aio.server(
            options=[
                ("grpc.max_receive_message_length", MAX_BODY),
                ("grpc.so_reuseport", 0),
            ]
        )
        self._server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(
                    signal.service,
                    {"Export": grpc.unary_unary_rpc_method_handler(_export(otlp, policy, name))},
                )
                for name, signal in SIGNALS.items()
            )
        )

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which the system chooses for 0.

        Raises OSError when the address cannot be used.
        """
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._tls is None:
                bound = self._server.add_insecure_port(at)
            else:
                bound = self._server.add_secure_port(at, self._tls)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {at}") from error
        await self._server.start()
        return int(bound)

    async def stop(self) -> None:
        """Let the calls that run end, for at most a second."""
        await self._server.stop(1.0)


def _export(otlp: Otlp, policy: Policy, name: str) -> Any:
    async def export(body: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        headers = [
            (key.encode(), value if isinstance(value, bytes) else value.encode())
            for key, value in context.invocation_metadata() or ()
        ]
        if not policy.authorised(headers):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "A token is needed")
        try:
            response = await otlp.take(name, body)
        except BadBody as bad:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(bad))
        except Busy:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Nothing can be kept now")
        return bytes(response.SerializeToString())

    return export
