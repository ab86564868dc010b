# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of ccvm-scratch(1) for bash.

# The command that stands before the cursor, or nothing.
__ccvm_scratch_verb() {
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--json | --root) [[ ${COMP_WORDS[i + 1]} == = ]] && i=$((i + 2)) || i=$((i + 1)) ;;
		-*) ;;
		*) echo "${COMP_WORDS[i]}" && return ;;
		esac
	done
}

_ccvm_scratch() {
	local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} verb options

	# bash takes "=" for a word of its own.
	[[ $option != = ]] || option=${COMP_WORDS[COMP_CWORD - 2]}
	[[ $word != = ]] || word=
	verb=$(__ccvm_scratch_verb)
	case $verb in
	status) options='--quiet -j --json=' ;;
	is-encrypted) options='--quiet' ;;
	wipe) options='--yes' ;;
	renew) options='--yes --force' ;;
	config) options='-j --json= --root=' ;;
	help) options= ;;
	*) options='--help --version --quiet -j --json= --root= --yes --force' ;;
	esac

	COMPREPLY=()
	if [[ $option == --json ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'short pretty off' -- "$word")
	elif [[ $option == --root ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
		[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace
	elif [[ -z $verb ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'status is-encrypted wipe renew config help' -- "$word")
	elif [[ $verb == is-encrypted ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}
complete -F _ccvm_scratch ccvm-scratch
