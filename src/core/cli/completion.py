"""`core completion`: a script for bash, zsh or fish, made from the parsers, that completes commands and options."""

from __future__ import annotations

import shlex

from core.cli.command import Command
from core.cli.program import NOUNS, commands, every_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action, Namespace

    from core.cli.command import Parser

SHELLS = ("bash", "zsh", "fish")
RUNS = 'core runs list -o json 2>/dev/null | sed -n \'s/^    "id": "\\(.*\\)",$/\\1/p\''
"""Shell command that lists ids of runs, for commands that take one."""

BASH = """\
# bash completion for core: source it, or: core completion bash > ~/.local/share/bash-completion/completions/core
_core() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" verb="" words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W {nouns} -- "$word"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{verbs}
    esac
    if [ "$COMP_CWORD" -eq 2 ] && [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$word"))
        return
    fi
    [ -n "$words" ] && verb="${{COMP_WORDS[2]}}"
    words=""
    case "${{COMP_WORDS[1]}} $verb $before" in
{choices}
    esac
    if [ -z "$words" ]; then
        case "${{COMP_WORDS[1]}} $verb" in
{options}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [ "${{#COMPREPLY[@]}}" -eq 0 ]; then
        compopt -o default 2>/dev/null
    fi
}}
complete -F _core core
"""

ZSH = """\
#compdef core
# zsh completion for core, by way of the bash script: source it after compinit
autoload -U +X bashcompinit && bashcompinit
"""


def bash() -> str:
    """The script for bash: plain `case` tables; nothing of core runs while a person types, but to list runs."""
    verbs, options, choices = [], [], []
    for noun in NOUNS:
        words = " ".join(verb for verb in commands(noun) if verb)
        if words:
            verbs.append(f"        {noun}) words={shlex.quote(words)} ;;")
    for noun, verb, _, parser in every_command():
        options.append(f"            '{noun} {verb}') {_bash_words(parser)} ;;")
        for action in parser.actions:
            if action.choices and action.option_strings:
                patterns = "|".join(f"'{noun} {verb} {option}'" for option in action.option_strings)
                choices.append(f"        {patterns}) words={shlex.quote(_values(action))} ;;")
    return BASH.format(
        nouns=shlex.quote(" ".join(NOUNS)),
        verbs="\n".join(verbs),
        choices="\n".join(choices),
        options="\n".join(options),
    )


def _bash_words(parser: Parser) -> str:
    """Shell code that sets `words` to what may stand where no option's value is due."""
    positional = [action for action in parser.actions if not action.option_strings]
    flags = [option for action in parser.actions for option in action.option_strings if option.startswith("--")]
    words = " ".join([*sorted(flags), *(_values(action) for action in positional if action.choices)])
    setting = f"words={shlex.quote(words)}"
    if any("FILE" in str(action.metavar) for action in positional):
        return f'[[ "$word" == -* ]] && {setting}'
    if any(action.metavar in {"RUN", "A", "B"} for action in positional):
        return f'{setting}; [[ "$word" == -* ]] || words="latest $({RUNS})"'
    return setting


def _values(action: Action) -> str:
    return " ".join(map(str, action.choices or ()))


def fish() -> str:
    """The script for fish."""
    lines = ["# fish completion for core: core completion fish > ~/.config/fish/completions/core.fish"]
    for noun, summary in NOUNS.items():
        lines.append(f"complete -c core -f -n __fish_use_subcommand -a {noun} -d {shlex.quote(summary)}")
    for noun, verb, command, parser in every_command():
        seen = f"__fish_seen_subcommand_from {noun}"
        if verb:
            when = f"{seen}; and not __fish_seen_subcommand_from {' '.join(commands(noun))}"
            lines.append(f"complete -c core -f -n '{when}' -a {verb} -d {shlex.quote(command.summary)}")
            seen += f"; and __fish_seen_subcommand_from {verb}"
        lines += [_fish_action(seen, action) for action in parser.actions]
    return "\n".join(lines) + "\n"


def _fish_action(seen: str, action: Action) -> str:
    names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in action.option_strings]
    values = f"-x -a {shlex.quote(_values(action))}" if action.choices else ""
    if names and not values and action.nargs is None:
        values = "-r"
    about = f"-d {shlex.quote(str(action.help) % vars(action))}" if action.help else ""
    return " ".join(filter(None, [f"complete -c core -n '{seen}'", *names, values, about]))


def _arguments(parser: Parser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def _completion(arguments: Namespace) -> int:
    scripts = {"bash": bash, "zsh": lambda: ZSH + bash(), "fish": fish}
    print(scripts[arguments.shell](), end="")
    return 0


COMMANDS = {
    "": Command(
        "print a script that completes commands in your shell",
        _arguments,
        _completion,
        '    eval "$(core completion bash)"      # in ~/.bashrc; for zsh the same with zsh in ~/.zshrc\n'
        "    core completion fish > ~/.config/fish/completions/core.fish",
    ),
}
