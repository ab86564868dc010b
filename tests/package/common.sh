# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the tests of all packages ask, in TAP: does it build, and does each package hold just what meson installs for its
# part? Sourced.

number=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

check() {
	local name=$1
	shift
	number=$((number + 1))
	if "$@" >"$scratch/output" 2>&1; then
		echo "ok $number - $name"
	else
		sed 's/^/# /' "$scratch/output"
		echo "not ok $number - $name"
		failed=1
	fi
}

# What meson installs from the build directory $1, with its arguments behind; packagers compress the man pages.
list_meson() {
	local build=$1 root=$scratch/root
	shift
	rm -rf "$root"
	meson install -C "$build" --no-rebuild --quiet --destdir "$root" "$@" >&2 || return 1
	(cd "$root" && find . -not -type d) | sed 's/^\.//; s|^/usr/share/man/.*|&.gz|' | sort
}

# Of the paths of a package, a line each: those that are not only its packager's.
drop_packagers() {
	sed -E 's/^\.?//; \,^/usr/share/(doc/[^/]*/[^/]*|licenses/.*|libalpm/.*)$,d; \,^/usr/lib/\.build-id/,d' | sort
}

# The packages named in $1 hold what meson installs with the arguments behind. list_package and $build are the caller's.
same_files() {
	local names=$1 package
	shift
	list_meson "$build" "$@" >"$scratch/expected" || return 1
	[[ -s $scratch/expected ]] || return 1
	for package in $names; do list_package "$package" || return 1; done | drop_packagers | diff --unified "$scratch/expected" -
}

# Neither forgotten by the tags nor shipped twice.
packages='ccvm-scratch ccvm-scratch-dracut ccvm-scratch-host'
complete() {
	same_files "$packages"
}

# The command of README.md that begins with the words $1, in a block or in backquotes.
read_command() {
	{ sed -n 's/^    //p' README.md && tr '\n' ' ' <README.md | grep -oP '(?<![`\w])`\K[^`]+(?=`)'; } |
		awk -v begin="$1" 'index($0, begin) == 1 && !n++ { print } END { exit !n }' || {
		echo "README.md: no command begins with '$1'" >&2
		return 1
	}
}

# The sources as they stand here, in $tree.
copy_tree() {
	tree=$scratch/tree
	# shellcheck source=tests/guest/inputs.sh
	. tests/guest/inputs.sh
	copy_inputs "$tree" .
}

# The archive that README.md has meson make, in $tree/build/meson-dist.
make_archive() {
	local command git=(git -c user.name=test -c user.email=test@localhost -c init.defaultBranch=main)
	copy_tree && command=$(read_command 'meson setup build && meson dist') || return 1
	(cd "$tree" && "${git[@]}" init --quiet && "${git[@]}" add . && "${git[@]}" commit --quiet --message=sources && eval "$command")
}
