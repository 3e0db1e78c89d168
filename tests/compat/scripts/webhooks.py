"""What MLflow's users do with webhooks. Arguments: the URL of a receiver."""

import sys

from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException

client, url = MlflowClient(), sys.argv[1]
EVENTS = [
    "registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
    "model_version_alias.created", "model_version_alias.deleted",
]  # fmt: skip

hook = client.create_webhook("all", url, EVENTS, description="everything", secret="hush")
assert (hook.name, hook.url, hook.description, hook.status) == ("all", url, "everything", WebhookStatus.ACTIVE)
assert sorted(str(event) for event in hook.events) == sorted(EVENTS)
assert hook.secret is None
assert client.get_webhook(hook.webhook_id) == hook or client.get_webhook(hook.webhook_id).name == "all"
other = client.create_webhook("other", url, [WebhookEvent("model_version", "created")], status="DISABLED")
assert [each.name for each in client.list_webhooks(max_results=1)] in (["other"], ["all"])
page = client.list_webhooks(max_results=1)
rest = client.list_webhooks(max_results=1, page_token=page.token)
assert {page[0].webhook_id, rest[0].webhook_id} == {hook.webhook_id, other.webhook_id}
assert not rest.token

changed = client.update_webhook(other.webhook_id, name="renamed", events=["model_version_tag.set"], status="ACTIVE")
assert (changed.name, changed.url, [str(each) for each in changed.events]) == ("renamed", url, ["model_version_tag.set"])
client.delete_webhook(other.webhook_id)
for refused in (
    lambda: client.get_webhook(other.webhook_id),
    lambda: client.create_webhook("x", "ftp://example.com", EVENTS),
    lambda: client.create_webhook("x", "http://10.0.0.1/x", EVENTS),
    lambda: client.create_webhook("not a name", url, EVENTS),
):
    try:
        refused()
    except MlflowException as error:
        print("refused", error.error_code)

result = client.test_webhook(hook.webhook_id, event="model_version_tag.set")
assert (result.success, result.response_status) == (True, 200), result

client.create_registered_model("M", tags={"a": "1"}, description="desc")
version = client.create_model_version("M", "s3://bucket/key", tags={"t": "u"}, description="vd")
client.set_model_version_tag("M", "1", "k", "v")
client.delete_model_version_tag("M", "1", "k")
client.set_registered_model_alias("M", "champion", "1")
client.delete_registered_model_alias("M", "champion")
print("done")
