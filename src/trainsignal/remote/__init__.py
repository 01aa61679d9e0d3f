"""Runs on other machines: their signals, published here as if they ran at home.

    listening      `listen`: what a user calls
    reader         reads a broker: which runs there are, each one's messages in order, each once
    source         a run as the reader sees it; signs: of life; strange_keys: what is no stream of ours
    merge          the two streams of a run as one; pure
    positions      how far a named listener is
    contents       what messages say, checked; announced: of series and their rows; attributes: of these
    following      one run from its first message to its last: past, then replica
    past           what a run did before its replica takes part
    replica        the run as an ordinary `Callbacks` object; series, handlers, placing, endings: its parts
    model          `RemoteModel`, which stands in the place of the model
    troubles       what is wrong with what comes, counted and told once
    stop           asking a run to stop; run_names: names as they are told
    view           the live view of remote runs
    command_line   the subcommands; lines: an event as a line of text; loading: finds handlers by name

Needs the extra "relay". The other side is `trainsignal.relay`.
"""

from trainsignal.remote.endings import RemoteInterrupt, RemotePreemption, RemoteRunError
from trainsignal.remote.listening import listen
from trainsignal.remote.model import RemoteModel
from trainsignal.remote.stop import request_remote_stop

__all__ = [
    "RemoteInterrupt",
    "RemoteModel",
    "RemotePreemption",
    "RemoteRunError",
    "listen",
    "request_remote_stop",
]
