"""The command `belvedere`: a thin shell over the engine and the observatory."""

import os
import sys

from belvedere.cli.french import EXIT_FAILURE, Parser


def parser() -> Parser:
    """The whole command line, also read by the reference documentation."""
    from belvedere.cli import (
        accounts,
        b2,
        backup,
        bench,
        demo,
        exchange,
        journal,
        maintain,
        nomenclature,
        objections,
        push,
        release,
        secrecy,
        senders,
        serve,
        services,
        status,
        study,
    )

    top = Parser(prog="belvedere", description="Belvédère, l’observatoire ouvert de la prestation de santé à domicile.")
    commands = top.add_subparsers(title="commandes", dest="command", required=True, metavar="COMMANDE")
    for module in (
        demo,
        serve,
        push,
        b2,
        accounts,
        senders,
        nomenclature,
        release,
        secrecy,
        objections,
        exchange,
        services,
        study,
        journal,
        backup,
        maintain,
        status,
        bench,
    ):
        module.register(commands)
    return top


def use_data(folder: str | None) -> None:
    """Point the application at a data folder, then start Django."""
    if folder:
        os.environ["BELVEDERE_DATA"] = os.path.abspath(folder)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "belvedere.observatory.settings")
    import django

    django.setup()


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    from belvedere.observatory.environment import SettingRefused

    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("\nInterrompu.", file=sys.stderr)
        return 130
    except SettingRefused as error:
        print(f"belvedere : {error}", file=sys.stderr)
        return EXIT_FAILURE
    except OSError as error:
        print(f"belvedere : {error.strerror or error} {error.filename or ''}".rstrip(), file=sys.stderr)
        return EXIT_FAILURE


if __name__ == "__main__":
    sys.exit(main())
