"""The relay: what a run publishes, told to listeners on other machines through a Redis server.

    settings    `Relay`: where to, and what
    messages, requests, streams, address    the format: messages, commands and answers, names, addresses
    broker      the server; the only file that imports redis
    claim       the name of a run there, and where its streams end
    commands    requests to stop the run
    identity    how a run introduces itself; plain_payload: what of a signal can be told
    rows, catalogue    which series are told, and which of their rows are new
    outbox      what waits: of the durable messages the newest `trimmed_to`, fewer of all others
    delivery    brings it to the broker, whatever becomes of that; `courier` is its thread
    stub, notices    what is left of a message that cannot be written; what the log says
    pace        how often blocks of minibatches are told
    sender      `RelaySender` listens to the bus of a run; the end of that alone waits for the broker

The listeners' side is `trainsignal.remote`.
"""

from trainsignal.relay.settings import Relay

__all__ = ["Relay"]
