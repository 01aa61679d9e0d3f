"""trainsignal: an event bus for machine-learning training loops, with neon's callback API."""

from trainsignal import keys
from trainsignal.bus import Bus
from trainsignal.callback import Callback
from trainsignal.callbacks import (
    EarlyStopCallback,
    LossCallback,
    MetricCallback,
    ProgressBarCallback,
    RunTimerCallback,
    SaveBestStateCallback,
    SerializeModelCallback,
    TrainCostCallback,
    TrainLoggerCallback,
)
from trainsignal.container import Callbacks
from trainsignal.errors import TrainSignalError
from trainsignal.run import TrainingRun
from trainsignal.shared_data import SharedData

__version__ = "0.1.0"

__all__ = [
    "Bus",
    "Callback",
    "Callbacks",
    "EarlyStopCallback",
    "LossCallback",
    "MetricCallback",
    "ProgressBarCallback",
    "RunTimerCallback",
    "SaveBestStateCallback",
    "SerializeModelCallback",
    "SharedData",
    "TrainCostCallback",
    "TrainLoggerCallback",
    "TrainSignalError",
    "TrainingRun",
    "keys",
]
