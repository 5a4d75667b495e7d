"""The command line. Subcommands are imported when they are called, so that `--help` costs next to nothing."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from bridge import __version__

COMMANDS = {
    "demo": ("demo", "The whole story on the embedded default: a day of discharges, screenings and answers."),
    "convert": ("convert", "Messages to checked FHIR Bundles."),
    "try": ("try_", "Dry run: Bundle, referrals, and per recipient what would be sent, withheld and why."),
    "check": ("check", "FHIR resources or Bundles against the profiles they claim."),
    "screen": ("screen", "A screening response: needs, scores, what is missing or contradicts itself."),
    "consent": ("consent", "Ask the consent filter."),
    "mapping": ("mapping", "Test, lint and explain mappings."),
    "run": ("run", "The service: all roles in one process, or one role."),
    "publish": ("publish", "Put messages on the bridge's inbound exchange, with confirms."),
    "replay": ("replay", "Plan and run replays: verify, redeliver or reprocess stored messages."),
    "held": ("held", "The work list: questions that a person can answer."),
    "disclosures": ("disclosures", "What was sent about a patient, to whom, when, under which consent; what was withheld."),
    "audit": ("audit", "The record of decisions and disclosures as FHIR AuditEvent and Provenance."),
    "connector": ("connector", "List, make and test connectors."),
    "db": ("db", "Upgrade, back up and purge the ledger."),
    "topology": ("topology", "Show or apply the broker's exchanges, queues and policies."),
    "doctor": ("doctor", "Check settings, files, ledger and broker, and say where each setting came from."),
    "bench": ("bench", "Benchmarks, with their conditions printed."),
}
"""Command to (module in bridge.cli, one line of help). The module has a click command named `command`."""


class LazyGroup(click.Group):
    """Knows its commands by name and help, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"bridge.cli.{COMMANDS[name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit: 0 done, 1 something was held, rejected or failed (and said so), 2 usage. "
    "Results go to stdout, messages to people to stderr. Start with: sdoh-bridge demo",
)
@click.option("--config", metavar="FILE", help="Settings (default: $SDOH_BRIDGE_CONFIG, ./bridge.toml, built-in).")
@click.version_option(__version__, prog_name="sdoh-bridge")
@click.pass_context
def group(ctx: click.Context, config: str | None) -> None:
    """Hospitals' HL7v2 discharges and CBO records become FHIR R4 referrals; the answers find their way back."""
    ctx.obj = config


def main(arguments: list[str] | None = None) -> None:
    """Run one command. What we expect to go wrong is one line on stderr and exit 1 or 2, never a traceback."""
    from bridge.core.errors import BridgeError, SettingsError

    try:
        group.main(args=arguments, prog_name="sdoh-bridge", standalone_mode=True)
    except SettingsError as error:
        click.echo(f"sdoh-bridge: {error}", err=True)
        sys.exit(2)
    except BridgeError as error:
        click.echo(f"sdoh-bridge: {error.code} {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
