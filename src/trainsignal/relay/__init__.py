"""The relay: what a run publishes, told to listeners on other machines through a Redis server.

    settings    `Relay`: where to, and what
    messages, requests, streams, address    the format: messages, commands and answers, names, addresses
    broker      the server; the only file that imports redis
    claim       the name of a run there, and where its streams end
    commands    requests to stop the run
    rows, catalogue    which series are told, and which of their rows are new
    outbox      what waits: nothing durable is lost, all else is bounded
    delivery    brings it to the broker, whatever becomes of that; `courier` is its thread
    sender      `RelaySender` listens to the bus of a run, and never keeps it waiting

The listeners' side is `trainsignal.remote`.
"""

from trainsignal.relay.settings import Relay

__all__ = ["Relay"]
