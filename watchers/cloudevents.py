"""The receiver of CloudEvents: signals of any declared type, in any of the three HTTP forms."""

from engine.model.cloudevents import BadData, BadRequest, to_batch
from watchers.receiving import Hall, Post, Received, ReceiverOptions, Refusal, receiver


class CloudEventsConfig(ReceiverOptions):
    """The options of every receiver; `cluster` is that of events without the extension."""


@receiver("cloudevents", config=CloudEventsConfig)
async def receive_cloudevents(
    config: CloudEventsConfig,  # noqa: ARG001 - the form of a receiver
    post: Post,
    hall: Hall,  # noqa: ARG001
) -> Received:
    """CloudEvents 1.0 of any declared type: structured, binary or a batch of them.

    They are read as those of /v1/signals are, and keep their own id and source.

    Source: CloudEvents HTTP protocol binding 1.0.2.
    """
    try:
        return Received(records=[to_batch(post.headers, post.body)])
    except BadRequest as error:
        return Received(refused=[Refusal("content-type", str(error), post.body)])
    except BadData as error:
        return Received(refused=[Refusal("bad-json", str(error), post.body)])
