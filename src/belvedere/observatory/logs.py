"""What must not reach a log: the personal links that addresses carry, and what a reader of the hub types after a type, which may be somebody's number."""

import logging
import re

_LINK = re.compile(
    r"(/(?:adherer/(?:convention|brancher)|invitation|compte/password/reset/key|echanges/mes-acces|fhir/[A-Z][A-Za-z]+)/|/fhir/[^\s?]*\?)[^\s]+"
)


class WithoutLinks(logging.Filter):
    """Cuts the token out of every address that a record tells."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _LINK.sub(r"\1…", str(record.msg))
        if isinstance(record.args, tuple):
            record.args = tuple(_LINK.sub(r"\1…", item) if isinstance(item, str) else item for item in record.args)
        return True
