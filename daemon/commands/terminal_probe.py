"""`hadir terminal probe`: what stands at an address, step by step."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from daemon.bench.target import add_target, target_of

if TYPE_CHECKING:
    from daemon.bench.probe import Report, Step

_EXAMPLES = """\
Nothing is imported and nothing is changed. Exit code 1 where a step fails.

examples:
  hadir terminal probe 192.0.2.10:4370 --comm-key-file lobi.key
  hadir terminal probe lobi --config /etc/hadir/edge.toml
"""


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    probe = actions.add_parser(
        "probe",
        help="ask a terminal step by step: where it stops, why, and what to do",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target(probe)
    probe.add_argument("--json", action="store_true", help="print facts for machines")
    probe.set_defaults(func=_probe)


def _probe(arguments: argparse.Namespace) -> int:
    from attendance.clock import SystemClock
    from daemon.bench.probe import Probe
    from drivers.zk.driver import ZkDriver

    target = target_of(arguments)
    if not arguments.json:
        print(target.name, flush=True)
    probe = Probe(
        target.terminal,
        ZkDriver(),
        SystemClock(),
        zone_given=target.zone_given,
        tell=(lambda _step: None) if arguments.json else _tell,
    )
    with target.turn():
        report = probe.run(try_udp=arguments.transport in (None, "auto"))
    if arguments.json:
        print(json.dumps(_facts(report)))
    if report.failed is None:
        return 0
    print(f"hadir: {target.name}: {report.failed.name}: {_sentence(report.failed)}", file=sys.stderr)
    return 1


def _tell(step: "Step") -> None:
    shown = "FAILED" if step.state == "failed" else step.state.value
    print(f"  {step.name:11} {shown:8} {step.text}", flush=True)
    if step.remedy and step.state != "failed":
        print(f"  {'':11} {'':8} -> {step.remedy}", flush=True)


def _sentence(step: "Step") -> str:
    return f"{step.text}; {step.remedy}" if step.remedy else step.text


def _facts(report: "Report") -> dict[str, object]:
    failed = report.failed
    return {
        "ok": failed is None,
        "failed_step": failed.name if failed else None,
        "cause": failed.text if failed else None,
        "remedy": failed.remedy if failed else None,
        "transport": report.transport,
        **report.facts,
        "steps": [
            {
                "step": step.name,
                "state": step.state.value,
                "text": step.text,
                "remedy": step.remedy or None,
                "took_ms": step.took_ms,
            }
            for step in report.steps
        ],
    }
