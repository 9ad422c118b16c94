"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TenantId = Annotated[str, typer.Argument(metavar="TENANT", help="Its id.")]
UserId = Annotated[str, typer.Argument(metavar="USER", help="Its id.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="Its id, key_...; not the key itself.")]
Name = Annotated[str | None, typer.Option(help="For people.")]
Approve = Annotated[
    list[str] | None, typer.Option("--approve", metavar="PATTERN", help="Models it may use, as 'openai/*'; repeat it.")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Any setting, its value as JSON; repeat it."),
]
File = Annotated[
    Path | None, typer.Option("--file", help="Settings as a JSON file, also as shown by --json; - is standard input.")
]
Replace = Annotated[bool, typer.Option("--replace", help="All settings: what is not given gets its default.")]
