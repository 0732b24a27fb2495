"""Configure logging from a file: logging.yaml, or the one that is named, as in `python app.py logging.ini`."""

import json
import logging
import logging.config
import sys
from pathlib import Path

import yaml


def configure(path: Path) -> None:
    """Read the file with fileConfig or dictConfig."""
    if path.suffix == ".ini":
        logging.config.fileConfig(path, disable_existing_loggers=False)
    elif path.suffix == ".json":
        logging.config.dictConfig(json.loads(path.read_text("utf-8")))
    else:
        logging.config.dictConfig(yaml.safe_load(path.read_text("utf-8")))


log = logging.getLogger("shop")


def main() -> None:
    """Log below the level, with extras, and with an exception."""
    configure(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("logging.yaml"))
    log.debug("not of interest to Azure")
    log.info("order %d paid", 1001, extra={"order": 1001, "amount": 59.9})
    try:
        {"1001": "paid"}["1003"]
    except KeyError:
        log.exception("order %d is unknown", 1003, extra={"order": 1003})


if __name__ == "__main__":
    main()
