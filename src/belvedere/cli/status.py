"""`belvedere status`: the state of a running observatory, for a person or a monitoring tool; exits 2 when somebody is needed."""

import argparse
import json

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("status", help="dit l’état de l’observatoire : file, entrepôt, disque, journal, messages, oppositions")
    top.add_argument("--data", default=None, help="dossier des données")
    how = top.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="réponse en JSON")
    how.add_argument("--metrics", action="store_true", help="format texte OpenMetrics, que lisent Prometheus et le collecteur OpenTelemetry")
    top.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data

    use_data(options.data)
    from belvedere.observatory import state

    found = state.figures()
    alarms = state.alarms(found)
    if options.json:
        print(json.dumps(found | {"alarms": [alarm.name for alarm in alarms]}))
    elif options.metrics:
        for name, value in found.items():
            print(f"# TYPE belvedere_{name} gauge\nbelvedere_{name} {value:g}")
        print("# EOF")
    else:
        for name, value in found.items():
            print(f"{name:<28} {value:>18,.0f}".replace(",", "\u202f"))
        print("\n".join(alarm.text for alarm in alarms) or "Rien à signaler.")
    return EXIT_REFUSED if alarms else EXIT_OK
