"""Where trainsignal's own log goes, as the command line says; nothing is set up unless it is asked for.

Touches the logger "trainsignal" alone, never the root logger.
"""

from __future__ import annotations

import argparse
import logging
import logging.handlers

from trainsignal.errors import ConfigurationError
from trainsignal.files import expand

_LOGGER_NAME = "trainsignal"
_LOG_FILE_BYTES = 10_000_000
_LOG_FILES_KEPT = 3


def configure_logging(namespace: argparse.Namespace) -> None:
    """Have the logger "trainsignal" write to standard error, and to the file of `--log`, as `-v` says.

    With a log file and a progress bar, the console shows errors only, as in neon. Called again, it
    replaces what it set up before; no other logger is touched.

    Args:
        namespace: what a parser with `add_callback_arguments` returned.

    Raises:
        ConfigurationError: the log file cannot be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if namespace.log is not None:
        try:
            file = logging.handlers.RotatingFileHandler(
                expand(namespace.log),
                maxBytes=_LOG_FILE_BYTES,
                backupCount=_LOG_FILES_KEPT,
                encoding="utf-8",
            )
        except OSError as error:
            raise ConfigurationError(
                f"cannot write the log file {namespace.log!r}: {error}. Name another one with --log."
            ) from error
        handlers.append(file)
        if namespace.progress_bar:
            handlers[0].setLevel(logging.ERROR)
    logger = logging.getLogger(_LOGGER_NAME)
    for handler in [handler for handler in logger.handlers if handler.name == _LOGGER_NAME]:
        logger.removeHandler(handler)
        handler.close()
    for handler in handlers:
        handler.name = _LOGGER_NAME  # by which the next call knows it
        handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(max(logging.DEBUG, logging.ERROR - 10 * namespace.verbose))
