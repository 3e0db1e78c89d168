"""`runlore webhooks`: URLs that are told of events in the registry, and alerts about runs."""

from __future__ import annotations

from typing import IO

import click

from runlore.api.webhooks import (
    CreateAlert,
    CreateWebhook,
    DeleteWebhook,
    FindWebhooks,
    ListDeliveries,
    TestWebhook,
)
from runlore.cli.output import counted, print_fields, print_json, print_table, time_text
from runlore.cli.stores import find_experiment, json_option, opened, store_option
from runlore.entities import WebhookDelivery, WebhookEvent, WebhookState
from runlore.entities.webhook import WebhookEventEntry, known_webhook_events
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store
from runlore.store.http import HttpStore


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def webhooks() -> None:
    """Tell URLs of what happens: of events in the registry, and of runs that end, are lost, or go beyond a bound.

    A server on the store sends the messages, also of what happened while none was running.

    \b
    Examples:
      runlore webhooks create deploy https://ci.example.com/hook -e model_version_alias.created
      runlore webhooks create team https://chat.example.com/hook -e run.failed -e run.lost -e "metrics.loss is nan"
      runlore webhooks create good https://example.com/hook -e "metrics.val_acc > 0.95" --experiment fruit
      runlore webhooks list
      runlore webhooks test 2715e46e-5e58-46e8-ab18-a626f7fe7e38
    """


@webhooks.command("list")
@json_option
@store_option
def list_command(as_json: bool, store: str | None) -> None:
    """List webhooks and how they fare, made last first."""
    with opened(store) as opened_store:
        found = opened_store.call(FindWebhooks()).webhooks
    if as_json:
        print_json(found)
        return
    rows = [
        [item.webhook_id, item.name, str(item.status), ", ".join(item.events), str(item.pending), _last(item.last_delivery)]
        for item in found
    ]
    print_table(["ID", "NAME", "STATUS", "EVENTS", "WAITING", "LAST MESSAGE"], rows)


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option("-e", "--event", "events", multiple=True, required=True, metavar="EVENT", help="What to tell; several times.")
@click.option("--experiment", "experiments", multiple=True, help="Alerts: runs of these alone; an id or a name, several times.")
@click.option("--secret-file", type=click.File(), help="Sign messages with the secret in this file; - for standard input.")
@click.option("--description", default="", help="For people.")
@json_option
@store_option
def create(
    name: str,
    url: str,
    events: tuple[str, ...],
    experiments: tuple[str, ...],
    secret_file: IO[str] | None,
    description: str,
    as_json: bool,
    store: str | None,
) -> None:
    """Tell URL of events.

    \b
    In the registry:  registered_model.created model_version.created model_version_tag.set model_version_tag.deleted
                      model_version_alias.created model_version_alias.deleted
    Of runs:          run.finished run.failed run.killed run.lost "metrics.loss > 10" "metrics.loss is nan"
    """
    secret = secret_file.read().strip() if secret_file else ""
    with opened(store) as opened_store:
        registry = [event for event in events if event in {str(each) for each in known_webhook_events()}]
        if registry and len(registry) < len(events):
            raise InvalidParameter("A webhook is told of the registry or of runs. Create two of them.")
        if registry:
            if experiments:
                raise InvalidParameter("--experiment goes with events of runs; models belong to no experiment.")
            entries = [_entry(event) for event in registry]
            operation = CreateWebhook(name=name, url=url, events=entries, description=description, secret=secret)
            made = _find(opened_store, opened_store.call(operation).webhook.webhook_id)
        else:
            ids = [find_experiment(opened_store, text).experiment_id for text in experiments]
            alert = CreateAlert(
                name=name, url=url, events=list(events), experiment_ids=ids, description=description, secret=secret
            )
            made = opened_store.call(alert).webhook
    if as_json:
        print_json(made)
    else:
        click.echo(made.webhook_id)


@webhooks.command()
@click.argument("webhook_id")
@json_option
@store_option
def deliveries(webhook_id: str, as_json: bool, store: str | None) -> None:
    """List messages to a webhook, the newest first."""
    with opened(store) as opened_store:
        found = opened_store.call(ListDeliveries(webhook_id=webhook_id)).deliveries
    if as_json:
        print_json(found)
        return
    rows = [
        [time_text(item.creation_timestamp), item.event, item.status, str(item.attempts), _code(item), item.error or ""]
        for item in found
    ]
    print_table(["TIME", "EVENT", "STATUS", "ATTEMPTS", "ANSWER", "ERROR"], rows)


@webhooks.command()
@click.argument("webhook_id", nargs=-1, required=True)
@store_option
def delete(webhook_id: tuple[str, ...], store: str | None) -> None:
    """Delete webhooks, and what waits to be sent to them."""
    with opened(store) as opened_store:
        for each in webhook_id:
            opened_store.call(DeleteWebhook(webhook_id=each))
    click.echo(f"{counted(len(webhook_id), 'webhook')} deleted.", err=True)


@webhooks.command()
@click.argument("webhook_id")
@click.option("-e", "--event", metavar="EVENT", help="Send this one; else the first that it is told of.")
@click.option("--webhook-networks", multiple=True, metavar="NETWORKS", help="As of `runlore server`, without one.")
@json_option
@store_option
def test(webhook_id: str, event: str | None, webhook_networks: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Send a message with made-up content now. Exit code 1 when it did not arrive."""
    from runlore.server.outbound import Outbound, networks_of
    from runlore.server.webhooks import send_test
    from runlore.store.outbox import GetTarget

    with opened(store) as opened_store:
        if isinstance(opened_store, HttpStore):
            entry = _entry(event) if event else None
            result = opened_store.call(TestWebhook(webhook_id=webhook_id, event=entry)).result
        else:
            target = opened_store.call(GetTarget(webhook_id=webhook_id))
            chosen = WebhookEvent.from_str(event) if event else None
            result = send_test(Outbound(networks_of(webhook_networks)), target, chosen)
    if as_json:
        print_json(result)
    else:
        fields = [("arrived", "yes" if result.success else "no"), ("status", str(result.response_status or "-"))]
        print_fields([*fields, *([("error", result.error_message)] if result.error_message else [])])
    if not result.success:
        raise SystemExit(1)


def _entry(event: str) -> WebhookEventEntry:
    known = WebhookEvent.from_str(event)
    return WebhookEventEntry(entity=known.entity.name, action=known.action.name)  # type: ignore[arg-type]  # the words' names


def _find(store: Store, webhook_id: str) -> WebhookState:
    return next(item for item in store.call(FindWebhooks()).webhooks if item.webhook_id == webhook_id)


def _last(delivery: WebhookDelivery | None) -> str:
    if delivery is None:
        return "-"
    return f"{delivery.status} {_code(delivery)} {time_text(delivery.last_attempt)}"


def _code(delivery: WebhookDelivery) -> str:
    return str(delivery.response_status or "-")
