"""Update of a running deployment: another version, without a lost request."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from llmops.errors import ServeError
from llmops.progress import say
from llmops.records import Deployment
from llmops.serve.deployment import control, options, state
from llmops.serve.deployment.listing import public
from llmops.serve.deployment.narrator import Narrator
from llmops.store import connection, registry

POLL_SECONDS = 0.05


def update(name: str, uri: str | None = None, *, follow: bool | None = None) -> Deployment:
    """Serve another version, without a lost request; the old one goes on if that fails.

    Args:
        name: Name of the deployment.
        uri: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``; by default the one that the
            deployment was given, whose alias is looked up now.
        follow: Whether to follow the alias in ``uri``, which is the default.

    Returns:
        The deployment as it is now; unchanged if it served this version already, which is said.

    Raises:
        UsageError: The URI is invalid, or only a version and ``follow`` is true.
        NotFoundError: No such deployment, version or alias.
        ServeError: It is stopped, another command is changing it, or it refuses the version.

    Example:
        from llmops.serve import update

        print(update("bot", "models:/bot/8").model)
    """
    with state.locked(name):
        record = state.get_record(name)
        if record.gateway.alive() is None:
            raise ServeError(
                f"deployment {name}: is stopped", next_command=f"llmops serve restart {name}"
            )
        wanted = uri or record.config.uri
        unchanged = uri is None and follow is None
        follows = record.config.follow if unchanged else options.follows(wanted, follow)
        connection.connect()
        model, version = registry.parse(wanted)
        registry.version_record(model, version)  # it must exist
        if not follows:
            wanted = f"models:/{model}/{version}"
        began = time.monotonic()
        swap = _narrated(record, wanted, follows)
    now = state.get_record(name)
    proof = "" if now.status.proof else "; served without proof"
    if swap.changed:
        before = f" (before: {record.status.model})" if record.status.model else ""
        say(f"{name}: serves {swap.version}{before}; {time.monotonic() - began:.1f} s{proof}")
    else:
        say(f"{name}: serves {swap.version} already; nothing was changed")
    return public(now)


def _narrated(record: state.Record, uri: str, follow: bool) -> control.Swap:
    """Wait for the outcome of an update, and say what the gateway does meanwhile."""
    outcome: Future[control.Swap] = Future()

    def ask() -> None:
        try:
            outcome.set_result(control.update(record, uri, follow=follow))
        except BaseException as error:  # raised again by the caller's thread
            outcome.set_exception(error)

    name = record.config.name
    threading.Thread(target=ask, daemon=True).start()  # daemon: Ctrl-C need not wait for it
    narrator = Narrator(name, "updating")
    try:
        while not outcome.done():
            narrator.look()
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        say(f"{name}: the update goes on without this command")
        raise
    return outcome.result()
