"""The callbacks, one class a file; the file is named as the class without "Callback"."""

from trainsignal.callbacks.batch_norm_tune import BatchNormTuneCallback
from trainsignal.callbacks.csv import CSVCallback
from trainsignal.callbacks.deconv import DeconvCallback
from trainsignal.callbacks.early_stop import EarlyStopCallback
from trainsignal.callbacks.gan_cost import GANCostCallback
from trainsignal.callbacks.gan_plot import GANPlotCallback
from trainsignal.callbacks.hist import HistCallback
from trainsignal.callbacks.lambda_ import LambdaCallback
from trainsignal.callbacks.learning_rate_schedule import LearningRateScheduleCallback
from trainsignal.callbacks.loss import LossCallback
from trainsignal.callbacks.metric import MetricCallback
from trainsignal.callbacks.multi_label_stats import MultiLabelStatsCallback
from trainsignal.callbacks.progress_bar import ProgressBarCallback
from trainsignal.callbacks.run_timer import RunTimerCallback
from trainsignal.callbacks.save_best_state import SaveBestStateCallback
from trainsignal.callbacks.serialize_model import SerializeModelCallback
from trainsignal.callbacks.stop_on_nan import StopOnNaNCallback
from trainsignal.callbacks.stop_when_not_improving import StopWhenNotImprovingCallback
from trainsignal.callbacks.system import SystemCallback
from trainsignal.callbacks.tensorboard import TensorBoardCallback
from trainsignal.callbacks.time_limit import TimeLimitCallback
from trainsignal.callbacks.train_cost import TrainCostCallback
from trainsignal.callbacks.train_logger import TrainLoggerCallback
from trainsignal.callbacks.train_multicost import TrainMulticostCallback
from trainsignal.callbacks.watch_ticker import WatchTickerCallback

__all__ = [
    "BatchNormTuneCallback",
    "CSVCallback",
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
    "ProgressBarCallback",
    "RunTimerCallback",
    "SaveBestStateCallback",
    "SerializeModelCallback",
    "StopOnNaNCallback",
    "StopWhenNotImprovingCallback",
    "SystemCallback",
    "TensorBoardCallback",
    "TimeLimitCallback",
    "TrainCostCallback",
    "TrainLoggerCallback",
    "TrainMulticostCallback",
    "WatchTickerCallback",
]
