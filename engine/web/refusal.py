"""What a request is answered that is not granted: a status and a sentence."""

from collections.abc import Mapping
from http import HTTPStatus

from engine.model.errors import DogwatchError, IllegalMove, Refused, StoreError

_STATUS: Mapping[type[DogwatchError], HTTPStatus] = {
    Refused: HTTPStatus.CONFLICT,
    IllegalMove: HTTPStatus.CONFLICT,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Refusal(Exception):  # noqa: N818 - no fault of ours
    """The status to answer, the sentence that says why, and headers that belong to it."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.text = text
        self.headers = dict(headers or {})
        super().__init__(text)


def refusal_of(error: DogwatchError) -> Refusal:
    """Return how `error` is told: 409 what may not be now, 503 the store, else 422."""
    status = next(
        (known for kind, known in _STATUS.items() if isinstance(error, kind)),
        HTTPStatus.UNPROCESSABLE_ENTITY,
    )
    away = status is HTTPStatus.SERVICE_UNAVAILABLE
    return Refusal(status, str(error), {"Retry-After": "1"} if away else None)
