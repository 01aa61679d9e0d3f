"""`RemoteModel`: what stands in the place of the model of a run that goes on elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RemoteModel:
    """The sender of a remote run's signals: tells which run it is, and cannot compute anything.

    Attributes:
        run_name: under which the run is published.
        run_id: tells the run from all others; a resumed run keeps it.
        host: the machine on which it runs.
        script: file name of the program; None where it has none.
        started_at: seconds since 1970-01-01 UTC.
        may_be_stopped: whether the run takes requests to stop.
        class_name: of the model that is trained.
        number: of the message whose signal is being published, from 1: in the order of publication, strictly
            increasing within one process of the run. A handler that was killed amid a message may get it
            again.
        series: keys of the series that the run announced when it began; empty where that was missed.
    """

    run_name: str
    run_id: str
    host: str = ""
    script: str | None = None
    started_at: float = 0.0
    may_be_stopped: bool = False
    class_name: str = ""
    number: int = 0
    series: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.class_name or 'the model'} of the run {self.run_name!r}"
