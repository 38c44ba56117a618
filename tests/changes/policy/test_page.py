"""docs/changes.md says what is: its tables, its diagram, and its examples."""

from engine.changes.policy import load_policy
from engine.changes.policy.config import PolicyConfig
from tests.changes.policy.page import PAGE, blocks, example, fresh
from tests.readme import ROOT

TEXT = PAGE.read_text(encoding="utf-8")


def test_what_stands_between_marks_is_made_anew() -> None:
    assert fresh() == TEXT, "python -m tests.changes.policy.page makes it"


def test_the_policy_on_the_page_is_good_with_and_without_oidc() -> None:
    assert example(TEXT).file.oidc is None
    _, oidc = blocks(TEXT)
    assert example(TEXT, oidc).file.oidc is not None


def test_the_policy_of_deploy_says_the_defaults_it_claims() -> None:
    text = (ROOT / "deploy" / "policy.yaml").read_text(encoding="utf-8")
    policy = load_policy("deploy/policy.yaml", text).file
    default = PolicyConfig()
    for block in ("budgets", "breaker", "verification", "reminders"):
        assert getattr(policy, block) == getattr(default, block), block


def test_what_is_commented_out_in_the_policy_of_deploy_is_good() -> None:
    text = (ROOT / "deploy" / "policy.yaml").read_text(encoding="utf-8")
    begin = text.index("# automatic:")
    end = text.index("\n\n", begin)
    written = text[begin:end].replace("# ", "", 1).replace("\n# ", "\n")
    policy = load_policy("deploy/policy.yaml", text[:begin] + written + text[end:])
    assert list(policy.file.automatic) == ["undo-bad-image"]
