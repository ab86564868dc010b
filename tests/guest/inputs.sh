# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# inputs.sh: names a product by what it is made from, so that it is made once. To be sourced.

# The files below the paths given, but those behind ":!", each ended by a NUL. A file that git knows but that is gone does
# not count; nor does a build directory, where there is no git.
list_inputs() {
	local file path paths=() without=(-type d -exec test -e '{}/meson-private' ';')
	if git ls-files --error-unmatch meson.build >/dev/null 2>&1; then
		git ls-files -z --cached --others --exclude-standard -- "$@"
	else
		for path; do
			[[ $path == :!* ]] && without+=(-o -path "${path#:!}") || paths+=("$path")
		done
		find "${paths[@]}" '(' "${without[@]}" ')' -prune -o -not -type d -print0
	fi | sort -z | while IFS= read -r -d '' file; do
		[[ ! -f $file && ! -L $file ]] || printf '%s\0' "$file"
	done
}

# The files below the paths behind, to the directory $1.
copy_inputs() {
	local to=$1
	shift
	mkdir -p "$to"
	list_inputs "$@" | tar --create --null --files-from=- | tar --extract --directory="$to"
}

# By content, name and mode.
hash_inputs() {
	list_inputs "$@" |
		tar --create --null --no-recursion --files-from=- --mtime=@0 --owner=0 --group=0 --numeric-owner | sha256sum | cut -c1-16
}

# Takes away all but the three newest of $1-*/.
prune() {
	local old
	# shellcheck disable=SC2012 # the names are ours, and only ls sorts by time
	ls -dt "$1"-*/ | tail -n +4 | while read -r old; do
		rm -rf "$old"
	done
}
