/**
 * The completion scripts of the shells. Each asks `spaces __complete` for the candidates, one a
 * line with its description behind a tab; the line `:files` asks for names of files as well.
 */

export type Shell = "bash" | "zsh" | "fish" | "pwsh";

const BASH = `# bash completion for spaces
_spaces() {
  local line files=
  COMPREPLY=()
  while IFS= read -r line; do
    if [ "$line" = ":files" ]; then
      files=1
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done < <(spaces __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [ -n "$files" ]; then
    compopt -o filenames 2>/dev/null
    while IFS= read -r line; do
      COMPREPLY+=("$line")
    done < <(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")
  fi
}
complete -F _spaces spaces
`;

const ZSH = `#compdef spaces
# zsh completion for spaces
_spaces() {
  local line files=
  local -a candidates
  while IFS= read -r line; do
    if [[ $line == ":files" ]]; then
      files=1
    elif [[ $line == *$'\\t'* ]]; then
      candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      candidates+=("\${line//:/\\\\:}")
    fi
  done < <(spaces __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#candidates} )) && _describe -V 'spaces' candidates
  [[ -n $files ]] && _files
}
if [ "$funcstack[1]" = "_spaces" ]; then
  _spaces "$@"
else
  compdef _spaces spaces
fi
`;

const FISH = `# fish completion for spaces
function __spaces_complete
  set -l words (commandline -opc)
  set -l last (commandline -ct)
  for line in (spaces __complete -- $words[2..-1] "$last" 2>/dev/null)
    if test "$line" = ":files"
      __fish_complete_path "$last"
    else
      echo $line
    end
  end
end
complete -c spaces -f -a '(__spaces_complete)'
`;

const PWSH = `# PowerShell completion for spaces
Register-ArgumentCompleter -Native -CommandName spaces -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.StartOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  # An empty word does not reach a program in every version of PowerShell.
  $next = @(if ($wordToComplete -eq '') { '--next' })
  spaces __complete @next -- @words 2>$null | ForEach-Object {
    $value, $description = $_ -split "\`t", 2
    if ($value -eq ':files') {
      Get-ChildItem -Name -Path "$wordToComplete*" -ErrorAction SilentlyContinue | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ProviderItem', $_)
      }
    } else {
      if (-not $description) { $description = $value }
      [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $description)
    }
  }
}
`;

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: BASH,
  zsh: ZSH,
  fish: FISH,
  pwsh: PWSH,
};
