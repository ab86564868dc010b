# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Completion of ccvm-scratch-run for bash: its own options, and behind QEMU's name what completes that.

# Behind the first word that is no option, the line is QEMU's. Its index, or nothing.
__ccvm_scratch_run_command() {
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--)
			echo $((i + 1))
			return
			;;
		-*) ;;
		=) i=$((i + 1)) ;; # "--option=value" is three words here
		*)
			[[ ${COMP_WORDS[i - 1]} == -* && ${COMP_WORDS[i - 1]} != -- ]] && __ccvm_scratch_run_takes "${COMP_WORDS[i - 1]}" && continue
			echo "$i"
			return
			;;
		esac
	done
}

# Whether an option takes its value from the next word.
__ccvm_scratch_run_takes() {
	case $1 in
	--vm-disk-size | --scratch-dir | --keep-image | --seed | --status-file) return 0 ;;
	esac
	return 1
}

__ccvm_scratch_run_value() {
	local option=$1 word=$2

	case $option in
	--vm-disk-size) mapfile -t COMPREPLY < <(compgen -W "20G 512M 1T" -- "$word") ;;
	--lock-memory) mapfile -t COMPREPLY < <(compgen -W "yes no" -- "$word") ;;
	--scratch-dir | --seed) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
	--keep-image | --status-file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	esac
}

_ccvm_scratch_run() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command
	local options="--help --version --vm-disk-size= --scratch-dir= --keep-image= --seed= --lock-memory --status-file=
                --require-encrypted --dry-run"

	COMPREPLY=()
	command=$(__ccvm_scratch_run_command)
	if [[ -n $command && $command -lt $COMP_CWORD ]] && declare -F _command_offset >/dev/null; then
		_command_offset "$command"
	elif [[ -n $command && $command -lt $COMP_CWORD ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	elif [[ $word == = ]]; then
		__ccvm_scratch_run_value "$previous" ""
	elif [[ $previous == = ]]; then
		__ccvm_scratch_run_value "${COMP_WORDS[COMP_CWORD - 2]}" "$word"
	elif __ccvm_scratch_run_takes "$previous"; then
		__ccvm_scratch_run_value "$previous" "$word"
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
		[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
	else
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
	fi
}

complete -F _ccvm_scratch_run ccvm-scratch-run
