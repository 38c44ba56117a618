"""The configuration: every fault at once with its place, the environment on top."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from engine.app.checking import checked
from engine.app.configured import load_config, options
from engine.app.opening import open_store
from engine.app.roles import ALL, Role, roles_of
from engine.app.serve import serve
from engine.cli.top import RoleName
from engine.model.errors import ConfigError
from engine.model.ports import SystemClock
from tests.test_project import ROOT

GOOD = """\
clusters:
  - {name: prod, kubeconfig: kube.yaml}
rules: my-rules
sinks:
  out: {type: console}
  hook: {type: webhook, url: https://example.com/x, secret_file: hook.secret}
routes:
  - {sinks: out, match: {severity: critical}}
"""
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> str:
        path = tmp_path / "dogwatch.yaml"
        path.write_text(text)
        (tmp_path / "hook.secret").write_text("c2VjcmV0")
        return str(path)

    return write


def faults(path: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load_config(path, environ)
    return [line.removeprefix(f"{path}:") for line in str(refused.value).splitlines()]


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    settings = load_config(write(GOOD), {})
    assert settings.rules == (str(tmp_path / "my-rules"),)
    assert settings.clusters[0].kubeconfig == str(tmp_path / "kube.yaml")
    assert settings.sinks["hook"].model_extra is not None
    assert settings.sinks["hook"].model_extra["secret_file"] == str(tmp_path / "hook.secret")


def test_receivers_are_checked_as_sinks_are_and_their_files_are_found(
    write: Write, tmp_path: Path
) -> None:
    told = faults(
        write(
            "receivers:\n"
            "  a: {type: alertmanger, token_file: hook.secret}\n"
            "  b: {type: alertmanager, token_file: hook.secret, label: x}\n"
            "  c: {type: audit, token_file: gone, cluster: x, stages: [Done]}\n"
            "  d: {type: cloudevents}\n"
            "  e: {token_file: hook.secret}\n"
        )
    )
    assert [one.partition(" ")[0] for one in told] == [
        "2:7", "3:52", "4:20", "4:59", "5:3", "6:3",
    ]  # fmt: skip
    assert "did you mean 'alertmanager'" in told[0]
    assert "there is no file 'gone'" in told[2]
    assert "needs one of token_file, basic_file, secret_file; given: none" in told[4]
    good = "receivers:\n  b: {type: alertmanager, token_file: hook.secret}\n"
    (block,) = load_config(write(good), {}).receivers.values()
    assert block.model_extra == {"token_file": str(tmp_path / "hook.secret")}


def test_the_environment_overrides_the_file(write: Write) -> None:
    settings = load_config(
        write(GOOD), {"DOGWATCH_HTTP__LISTEN": "0.0.0.0:80", "DOGWATCH_MISSIONS__WORKERS": "7"}
    )
    assert (settings.http.listen, settings.missions.workers) == ("0.0.0.0:80", 7)


def test_a_fault_of_the_environment_names_the_variable(write: Write) -> None:
    told = faults(write(GOOD), DOGWATCH_MISSIONS__WORKERS="many")
    assert len(told) == 1
    assert told[0].startswith("DOGWATCH_MISSIONS__WORKERS: missions.workers:")


def test_every_fault_is_told_at_once_with_its_place(write: Write) -> None:
    text = """\
clusters:
  - {name: UPPER}
  - {name: a, contxt: b}
http:
  listen: nowhere
missions: {workers: 0}
"""
    told = faults(write(text))
    assert [line.split(" ", 1)[0] for line in told] == ["2:6", "3:15", "5:3", "6:12"]
    assert "did you mean 'context'?" in told[1]


def test_an_unknown_sink_of_a_route_has_the_nearest_name(write: Write) -> None:
    told = faults(write(GOOD.replace("sinks: out", "sinks: [out, hok]")))
    assert told == ["8:19 unknown sink 'hok'; known: hook, out; did you mean 'hook'?"]


def test_options_of_a_sink_are_checked_by_its_type(write: Write) -> None:
    told = faults(write("sinks:\n  a: {type: webhok}\n  b: {type: email, hosst: x}\n"))
    assert "unknown sink type 'webhok'" in told[0]
    assert "did you mean 'webhook'?" in told[0]
    assert any(line.startswith("3:20 unknown field 'hosst'") for line in told)


def test_two_clusters_of_one_name_are_refused(write: Write) -> None:
    assert "more than one is named a" in faults(write("clusters: [{name: a}, {name: a}]"))[0]


def test_a_file_that_is_not_there_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config FILE or DOGWATCH_CONFIG"):
        load_config(str(tmp_path / "none.yaml"), {})


def test_broken_yaml_has_its_place(write: Write) -> None:
    assert faults(write("clusters: [a\nrules: b\n"))[0].startswith("2:")


def test_an_empty_file_is_all_defaults(write: Write) -> None:
    assert load_config(write(""), {}).http.listen == "127.0.0.1:9095"


def test_the_example_of_deploy_is_good() -> None:
    example = Path(__file__).parents[2] / "deploy" / "dogwatch.yaml"
    assert [cluster.name for cluster in load_config(str(example), {}).clusters] == ["prod-eu"]


def test_faults_of_fields_sinks_routes_files_and_environment_are_told_together(
    write: Write,
) -> None:
    text = """\
http: {listen: "127.0.0.1:99999", token_file: gone.token}
missions: {workers: 0}
sinks:
  hook: {type: webhook, url: "ftp://x", secret_file: gone, header_files: {x-key: gone.key}}
  pager: {type: pagr}
routes: [{sinks: [hok, hook]}]
"""
    told = faults(write(text), DOGWATCH_CLUSTERS__0__NAME="a", DOGWATCH_ROUTES__X="[")
    for words in (
        "1:8 http.listen: ports go from 0 to 65535, found",
        "1:35 http.token_file: there is no file 'gone.token'",
        "2:12 missions.workers: ",
        "4:3 sinks.hook: ",
        "4:41 sinks.hook.secret_file: there is no file 'gone'",
        "4:75 sinks.hook.header_files.x-key: there is no file 'gone.key'",
        "5:11 unknown sink type 'pagr'",
        "6:19 unknown sink 'hok'",
        "DOGWATCH_ROUTES__X:",
    ):
        assert any(words in line for line in told), (words, told)
    places = [tuple(map(int, line.split(" ", 1)[0].split(":"))) for line in told[:-1]]
    assert places == sorted(places)
    assert told[-1].startswith("DOGWATCH_ROUTES__X:")


def test_a_part_of_a_list_cannot_be_set_by_the_environment(write: Write) -> None:
    told = faults(write(GOOD), DOGWATCH_CLUSTERS__0__NAME="a")
    assert told == [
        "DOGWATCH_CLUSTERS__0__NAME: only fields of mappings can be set, not parts of lists"
    ]


def test_what_may_be_a_secret_is_not_repeated_in_a_fault(write: Write) -> None:
    told = faults(write("sinks: {hook: {type: webhook, url: 12345678, secret: 87654321}}"))
    assert len(told) == 2
    assert not any("12345678" in line or "87654321" in line for line in told)


KAFKA = """\
store: {url: "postgresql://dogwatch@db/dogwatch", password_file: db.secret}
bus:
  kafka:
    brokers: [kafka-1:9092]
    tls: {ca_file: ca.pem}
"""


def test_files_of_the_store_and_the_bus_are_relative_to_the_file_too(
    write: Write, tmp_path: Path
) -> None:
    (tmp_path / "db.secret").write_text("hush")
    (tmp_path / "ca.pem").write_text("")
    settings = load_config(write(GOOD + KAFKA), {})
    assert settings.store.password_file == str(tmp_path / "db.secret")
    assert settings.bus.kafka is not None
    assert settings.bus.kafka.tls is not None
    assert settings.bus.kafka.tls.ca_file == str(tmp_path / "ca.pem")


LISTED = """
clusters:
  - name: west
    watchers:
      drift:
        apps:
          - {name: a, repository: "https://h.test/r", token_file: there}
          - {name: b, repository: "https://h.test/r", token_file: gone}
      metrics: {scrape: [{url: "http://h.test/m", take: [a], token_file: gone}]}
sinks:
  hook: {type: webhook, url: "https://h.test/", secret_file: there, header_files: {x-key: there}}
"""


def test_files_that_lists_name_and_that_are_not_there_are_told_with_their_place(
    write: Write, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.write_text("hush")
    assert faults(write(LISTED)) == [
        "8:55 clusters.0.watchers.drift.apps.1.token_file: there is no file 'gone'",
        "9:62 clusters.0.watchers.metrics.scrape.0.token_file: there is no file 'gone'",
    ]
    (tmp_path / "gone").write_text("hush")
    settings = load_config(write(LISTED), {})
    drift = settings.clusters[0].watchers["drift"]
    assert isinstance(drift, dict)
    first, second = drift["apps"]
    assert (first["token_file"], second["token_file"]) == (str(there), str(tmp_path / "gone"))
    hook = options(settings.sinks["hook"])
    assert (hook["secret_file"], hook["header_files"]) == (str(there), {"x-key": str(there)})


def test_files_of_the_store_and_the_bus_that_are_not_there_are_told(write: Write) -> None:
    assert faults(write(GOOD + KAFKA)) == [
        "9:51 store.password_file: there is no file 'db.secret'",
        "13:11 bus.kafka.tls.ca_file: there is no file 'ca.pem'",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("store: {url: mysql://x/y}", "store.url: allowed is postgresql://USER@HOST:PORT/DATABASE"),
        ("store: {url: postgresql://a/b, url_file: hook.secret}", "url excludes url_file"),
        ("store: {password_file: hook.secret}", "password_file needs url or url_file beside it"),
        ("bus: {kafka: {brokers: [kafka]}}", "is no HOST:PORT"),
        ("bus: {kafka: {brokers: [k:1], partitionz: 3}}", "did you mean 'partitions'?"),
    ],
)
def test_each_fault_of_store_and_bus_says_what_is_allowed(
    write: Write, text: str, says: str
) -> None:
    (told,) = faults(write(f"{GOOD}{text}\n"))
    assert says in told
    assert "mysql" not in told


@pytest.mark.parametrize(
    "text",
    [
        "store: postgresql://u:hunter2@db/x",
        "bus: {kafka: {brokers: [kafka://u:hunter2@h:9092]}}",
        "bus: {kafka: {brokers: [h:1], sasl: hunter2}}",
        "bus: {kafka: hunter2}",
        "http: http://u:hunter2@h",
    ],
)
def test_a_password_in_the_wrong_place_is_not_printed(write: Write, text: str) -> None:
    told = "\n".join(faults(write(f"{GOOD}{text}\n")))
    assert told
    assert "hunter2" not in told


def test_a_file_without_an_address_is_no_store(write: Write, tmp_path: Path) -> None:
    settings = load_config(write(f"{GOOD}store: {{url_file: hook.secret}}\n"), {})
    with pytest.raises(ConfigError, match=r"hook\.secret holds no postgresql://") as refused:
        open_store(settings, SystemClock())
    assert "c2VjcmV0" not in str(refused.value)


def test_an_empty_password_file_is_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "db.secret").write_text("\n")
    (tmp_path / "ca.pem").write_text("")
    with pytest.raises(ConfigError, match=r"db\.secret: its first line is empty"):
        open_store(load_config(write(GOOD + KAFKA), {}), SystemClock())


def test_roles_need_a_store_and_a_bus_that_others_reach(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a PostgreSQL and bus\.kafka; without --role this"):
        roles_of([Role.WEB], load_config(write(GOOD), {}))
    (tmp_path / "db.secret").write_text("hush")
    (tmp_path / "ca.pem").write_text("")
    assert roles_of([Role.WEB], load_config(write(GOOD + KAFKA), {})) == {Role.WEB}


def test_without_a_role_a_process_does_everything(write: Write) -> None:
    assert roles_of([], load_config(write(GOOD), {})) == ALL


def test_the_command_takes_exactly_the_roles_that_there_are() -> None:
    assert [one.value for one in RoleName] == [one.value for one in Role]


def checked_folder(folder: Path, **changes: str) -> Path:
    """Return a configuration with `changes`, beside a policy that is good and a key that is one."""
    (folder / "policy.yaml").write_text((ROOT / "deploy" / "policy.yaml").read_text())
    (folder / "key").write_text("0123456789abcdef" * 4)
    settings = {"policy_file": "policy.yaml", "key_file": "key", **changes}
    path = folder / "dogwatch.yaml"
    path.write_text(yaml.safe_dump({"changes": settings}))
    return path


def test_a_check_looks_into_the_policy_and_the_key_too(tmp_path: Path) -> None:
    path = checked_folder(tmp_path)
    assert checked(str(path)).changes.policy_file == str(tmp_path / "policy.yaml")
    (tmp_path / "policy.yaml").write_text("users: {ada: {emial: a@b.c}}\ngruops: {}\n")
    (tmp_path / "key").write_text("short")
    with pytest.raises(ConfigError) as refused:
        checked(str(path))
    said = str(refused.value)
    assert all(word in said for word in ("emial", "gruops", "at least 32"))


def test_a_policy_that_is_not_there_stops_changes_and_nothing_else(tmp_path: Path) -> None:
    path = checked_folder(tmp_path, policy_file="gone.yaml")
    assert load_config(str(path)).changes.policy_file == str(tmp_path / "gone.yaml")
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        checked(str(path))


def test_a_writer_without_a_cluster_to_change_says_so(tmp_path: Path) -> None:
    path = tmp_path / "dogwatch.yaml"
    path.write_text("clusters: [{name: east}]\nchanges: {listen: '127.0.0.1:0'}\n")
    with pytest.raises(ConfigError, match="no cluster of the configuration has `writer`"):
        serve(str(path), [Role.WRITER])
