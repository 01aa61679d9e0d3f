"""The callbacks, one class a file; the file is named as the class without "Callback"."""

from trainsignal.callbacks.early_stop import EarlyStopCallback
from trainsignal.callbacks.loss import LossCallback
from trainsignal.callbacks.metric import MetricCallback
from trainsignal.callbacks.progress_bar import ProgressBarCallback
from trainsignal.callbacks.run_timer import RunTimerCallback
from trainsignal.callbacks.save_best_state import SaveBestStateCallback
from trainsignal.callbacks.serialize_model import SerializeModelCallback
from trainsignal.callbacks.train_cost import TrainCostCallback
from trainsignal.callbacks.train_logger import TrainLoggerCallback

__all__ = [
    "EarlyStopCallback",
    "LossCallback",
    "MetricCallback",
    "ProgressBarCallback",
    "RunTimerCallback",
    "SaveBestStateCallback",
    "SerializeModelCallback",
    "TrainCostCallback",
    "TrainLoggerCallback",
]
