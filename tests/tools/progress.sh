# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# To be sourced by what a person starts and waits for: stage TITLE COMMAND… runs a command that has much to say, with its
# output in a log. On a terminal the line of the stage shows the time passed; elsewhere a line says that it begins, and
# another one how it ended. When the command fails, the end of its output and the log's path follow.

log=${CCVM_CACHE:-/var/cache/ccvm-scratch}/$(basename "$0").log
: >"$log"

# The log's path where the person is: inside the tool tree the cache has another name.
log_path() {
        echo "${CCVM_HOST_CACHE:-${log%/*}}/${log##*/}"
}

# Ends with the script: nobody is left to stop it when Ctrl-C ends that.
tick() {
        local title=$1 start=$SECONDS
        while kill -0 $$ 2>/dev/null; do
                printf '\r  … %s (%d s)' "$title" $((SECONDS - start)) >&2
                sleep 1
        done
}

stage() {
        local title=$1 start=$SECONDS from status=0 ticker=
        shift

        from=$(($(wc -c <"$log") + 1))
        if [[ -t 2 ]]; then
                tick "$title" &
                ticker=$!
        else
                printf '   … %s\n' "$title" >&2
        fi

        "$@" >>"$log" 2>&1 </dev/null || status=$?

        if [[ -n $ticker ]]; then
                kill "$ticker" 2>/dev/null || true
                wait "$ticker" 2>/dev/null || true
                printf '\r\033[K' >&2
        fi
        if ((status == 0)); then
                printf '  ok %s (%d s)\n' "$title" $((SECONDS - start)) >&2
        else
                printf 'FAIL %s (%d s)\n' "$title" $((SECONDS - start)) >&2
                tail -c +"$from" "$log" | tr '\r' '\n' | tail -n 40 | sed 's/^/     | /' >&2
                printf '     All of it: %s\n' "$(log_path)" >&2
        fi
        return $status
}
