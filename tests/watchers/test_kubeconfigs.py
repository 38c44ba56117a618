"""Kubeconfigs of any content: what is wrong is told of the one place, and of no other."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from watchers.certificates import CertificatesConfig, _kubeconfigs
from watchers.kubeconfigs import NoKubeconfig, kubeconfig
from watchers.polling import Looked

ODD = [
    "a: !!bool maybe",
    "a: !!timestamp x",
    "a: !!int ''",
    "a: !!float x",
    "a: !!binary é",
    "? {a: b}\n: c",
    "a: !own b",
    "a: &a [*a]\n*a : 1",
    "[" * 5000,
    "\x00",
    "a: b: c",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "user", "cluster", "client-certificate", "users", "clusters"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


def a_kubeconfig(folder: Path, name: str = "good.yaml", **user: Any) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump({"users": [{"name": "me", "user": user}]}))
    return path


@pytest.mark.parametrize("text", ODD)
def test_a_file_that_is_no_kubeconfig_is_a_fault_of_its_own_place_only(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    data = base64.b64encode(b"no certificate").decode()
    good = a_kubeconfig(tmp_path, **{"client-certificate-data": data})
    files = [{"kubeconfig": str(one)} for one in (tmp_path / "odd.yaml", good)]
    told = _kubeconfigs(Looked(), CertificatesConfig.model_validate({"kubeconfigs": files}))
    found = {fact.data["name"]: fact.data["error"] for fact in told}
    assert found["odd.yaml"].startswith("malformed: odd.yaml is n")
    assert found["good.yaml/user/me"] == "malformed: there is no certificate"


@pytest.mark.parametrize("named", ["a\0b", "/"])
def test_a_certificate_that_cannot_be_opened_is_told_of_its_entry(
    named: str, tmp_path: Path
) -> None:
    path = a_kubeconfig(tmp_path, **{"client-certificate": named})
    ((entry, told),) = kubeconfig(str(path))
    assert entry == "user/me"
    assert told["error"].split(":")[0] in {"malformed", "not-found"}


@given(JSON, st.booleans())
def test_entries_of_any_shape_are_taken(
    tmp_path_factory: pytest.TempPathFactory, entry: Any, whole: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(entry if whole else {"users": [entry], "clusters": entry}))
    try:
        kubeconfig(str(path))
    except NoKubeconfig:
        return
