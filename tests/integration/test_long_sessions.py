"""A session that listens for weeks uses up its reply ids: what firmware does after 65535 is not confirmed."""

from datetime import timedelta

import pytest

from attendance.punch import RawPunch
from drivers.base import CanListen
from drivers.table import driver_named
from drivers.zk import correspondence
from drivers.zk.commands import Command
from drivers.zk.packet import Packet
from drivers.zk.simulator.conversation import TerminalConversation
from drivers.zk.simulator.faults import Fault, IgnoresLowerIds, RepeatsReply
from terminals import running_terminal

POLLS = 12


@pytest.mark.parametrize("over", ["tcp", "udp"])
def test_a_session_renews_itself_between_polls_and_goes_on_listening(
    over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correspondence, "SPENT_AFTER", 20)
    asked: list[Packet] = []
    original = TerminalConversation.answer

    def noted(self: TerminalConversation, request: Packet) -> list[Packet]:
        asked.append(request)
        return original(self, request)

    monkeypatch.setattr(TerminalConversation, "answer", noted)
    faults: list[Fault] = [RepeatsReply(), IgnoresLowerIds()]
    with (
        running_terminal(records=100, faults=faults, transport=over, comm_key=4711) as running,
        driver_named("zk").open(running.as_configured()) as session,
    ):
        assert isinstance(session, CanListen)
        told = session.listen(quiet=timedelta(seconds=30))
        for poll in range(POLLS):
            assert session.identify().serial == "SIM0000000001"
            assert len(list(session.read_log())) == 100 + poll
            running.terminal.punch("1004")
            heard = next(told)
            assert isinstance(heard, RawPunch)
    commands = [request.command for request in asked]
    assert commands.count(Command.CONNECT) > 3
    assert commands.count(Command.CONNECT) == commands.count(Command.EXIT) == commands.count(Command.AUTH)
    assert max(request.reply_id for request in asked) < 20 + 20


def test_a_session_that_is_not_spent_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = TerminalConversation.answer

    def noted(self: TerminalConversation, request: Packet) -> list[Packet]:
        asked.append(request.command)
        return original(self, request)

    monkeypatch.setattr(TerminalConversation, "answer", noted)
    with running_terminal() as running, driver_named("zk").open(running.as_configured()) as session:
        for _ in range(3):
            session.identify()
    assert asked.count(Command.CONNECT) == 1
