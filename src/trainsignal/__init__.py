"""trainsignal: an event bus for machine-learning training loops, with neon's callback API."""

from trainsignal import keys
from trainsignal.bus import Bus
from trainsignal.callback import Callback
from trainsignal.callbacks import (
    BatchNormTuneCallback,
    CSVCallback,
    DeconvCallback,
    EarlyStopCallback,
    GANCostCallback,
    GANPlotCallback,
    HistCallback,
    LambdaCallback,
    LearningRateScheduleCallback,
    LossCallback,
    MetricCallback,
    MultiLabelStatsCallback,
    ProgressBarCallback,
    RunTimerCallback,
    SaveBestStateCallback,
    SerializeModelCallback,
    StopOnNaNCallback,
    StopWhenNotImprovingCallback,
    SystemCallback,
    TensorBoardCallback,
    TimeLimitCallback,
    TrainCostCallback,
    TrainLoggerCallback,
    TrainMulticostCallback,
    WatchTickerCallback,
)
from trainsignal.container import Callbacks
from trainsignal.errors import TrainSignalError
from trainsignal.interrupt import PreemptedExit
from trainsignal.run import TrainingRun
from trainsignal.shared_data import SharedData

__version__ = "0.1.0"

__all__ = [
    "BatchNormTuneCallback",
    "Bus",
    "CSVCallback",
    "Callback",
    "Callbacks",
    "DeconvCallback",
    "EarlyStopCallback",
    "GANCostCallback",
    "GANPlotCallback",
    "HistCallback",
    "LambdaCallback",
    "LearningRateScheduleCallback",
    "LossCallback",
    "MetricCallback",
    "MultiLabelStatsCallback",
    "PreemptedExit",
    "ProgressBarCallback",
    "RunTimerCallback",
    "SaveBestStateCallback",
    "SerializeModelCallback",
    "SharedData",
    "StopOnNaNCallback",
    "StopWhenNotImprovingCallback",
    "SystemCallback",
    "TensorBoardCallback",
    "TimeLimitCallback",
    "TrainCostCallback",
    "TrainLoggerCallback",
    "TrainMulticostCallback",
    "TrainSignalError",
    "TrainingRun",
    "WatchTickerCallback",
    "keys",
]
