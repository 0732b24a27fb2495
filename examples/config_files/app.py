"""Configure logging from a file: `python app.py`, or with another: `python app.py logging.ini`, or logging.json."""

import json
import logging
import logging.config
import sys
from pathlib import Path

import yaml


def configure(path: Path) -> None:
    """Hand the file to whichever of the standard library's two ways reads it."""
    if path.suffix == ".ini":
        logging.config.fileConfig(path, disable_existing_loggers=False)
    elif path.suffix == ".json":
        logging.config.dictConfig(json.loads(path.read_text("utf-8")))
    else:
        logging.config.dictConfig(yaml.safe_load(path.read_text("utf-8")))


log = logging.getLogger("shop")


def main() -> None:
    """Log in every way that must arrive right."""
    configure(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("logging.yaml"))
    log.debug("not of interest to Azure")
    log.info("order %d paid", 1001, extra={"order": 1001, "amount": 59.9})
    try:
        {"1001": "paid"}["1003"]
    except KeyError:
        log.exception("order %d is unknown", 1003, extra={"order": 1003})


if __name__ == "__main__":
    main()
