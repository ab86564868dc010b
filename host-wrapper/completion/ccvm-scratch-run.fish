# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of ccvm-scratch-run(1) for fish: its own options, and behind QEMU's name what completes that.

# The words before the cursor, from QEMU's name on; nothing as long as the line is ours.
function __ccvm_scratch_run_command
    set -l words (commandline -opc)[2..]
    while set -q words[1]
        switch $words[1]
            case --
                set -e words[1]
                break
            case --vm-disk-size --scratch-dir --keep-image --seed --status-file
                set -e words[1]
            case '-*'
            case '*'
                break
        end
        set -e words[1]
    end
    set -q words[1]; and string join \n -- $words
end

function __ccvm_scratch_run_complete
    set -l words (__ccvm_scratch_run_command)
    if set -q words[1]
        complete -C "$words "(commandline -ct)
    else
        __fish_complete_command
    end
end

set -l ours 'not __ccvm_scratch_run_command >/dev/null'
complete -c ccvm-scratch-run -f
complete -c ccvm-scratch-run -a '(__ccvm_scratch_run_complete)'
complete -c ccvm-scratch-run -n $ours -s h -l help -d 'Show a summary of the options'
complete -c ccvm-scratch-run -n $ours -l version -d 'Show the version'
complete -c ccvm-scratch-run -n $ours -l vm-disk-size -x -a '20G 512M 1T' -d 'Size of the disk; a bare number is GiB'
complete -c ccvm-scratch-run -n $ours -l scratch-dir -x -a '(__fish_complete_directories)' -d 'Directory for the image, on a disk'
complete -c ccvm-scratch-run -n $ours -l keep-image -r -F -d 'Make the image as this new file, and keep it'
complete -c ccvm-scratch-run -n $ours -l seed -x -a '(__fish_complete_directories)' -d 'Write the marker file there'
complete -c ccvm-scratch-run -n $ours -l lock-memory -d 'Keep guest RAM out of the swap'
complete -c ccvm-scratch-run -n $ours -l status-file -r -F -d 'QEMU writes there what the guest reports'
complete -c ccvm-scratch-run -n $ours -l require-encrypted -d 'The guest powers off if its disk is not encrypted'
complete -c ccvm-scratch-run -n $ours -l dry-run -d 'Print the final command, and run nothing'
