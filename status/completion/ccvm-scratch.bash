# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bash completion for ccvm-scratch(1)

_ccvm_scratch() {
	local cur=${COMP_WORDS[COMP_CWORD]}

	# bash takes "=" for a word of its own.
	if [[ $cur == = && ${COMP_WORDS[COMP_CWORD - 1]} == --root ]]; then
		mapfile -t COMPREPLY < <(compgen -d)
	elif [[ ${COMP_WORDS[COMP_CWORD - 2]:-} == --root && ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	elif [[ $cur == = || ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'short pretty off' -- "${cur#=}")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '--help --version --json= --root= --yes --force' -- "$cur")
		[[ ${COMPREPLY[*]} != --json= && ${COMPREPLY[*]} != --root= ]] || compopt -o nospace
	else
		mapfile -t COMPREPLY < <(compgen -W 'status is-encrypted wipe renew config' -- "$cur")
	fi
}
complete -F _ccvm_scratch ccvm-scratch
