"""What a small model cannot do is told in words, each thing once."""

from bench.local_model.__main__ import cannot

ABLE = {"supports_tools": True, "supports_parallel_tool_calls": True, "supports_system_role": True}
LOG = """\
agent     | 12:00:00.000 info    listening
router    | 12:00:01.000 warning the routing model cannot be used (m: model slow, within 2 s)
memory    | 12:00:02.000 error   no embeddings request_id=1 user_id=2
memory    | 12:00:03.000 error   no embeddings request_id=3 user_id=2
"""


def test_a_model_that_can_do_everything_is_told_nothing_of() -> None:
    assert (
        cannot({"chat_template_caps": ABLE}, "agent     | 12:00:00.000 info    listening\n") == []
    )


def test_what_the_template_lacks_and_what_the_stack_warned_of_is_told_once() -> None:
    told = cannot({"chat_template_caps": ABLE | {"supports_tools": False}}, LOG)
    assert told[0].startswith("It knows no tools")
    assert told[1:] == [
        "router: the routing model cannot be used (m: model slow, within 2 s)",
        "memory: no embeddings",
    ]
