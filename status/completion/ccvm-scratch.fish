# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of ccvm-scratch(1) for fish.

# Whether no command is there yet, or one of the arguments.
function __ccvm_scratch_is
    not __fish_seen_subcommand_from status is-encrypted wipe renew config help
    or __fish_seen_subcommand_from $argv
end

complete -c ccvm-scratch -f
complete -c ccvm-scratch -n __ccvm_scratch_is -a status -d 'Show whether there is a scratch disk'
complete -c ccvm-scratch -n __ccvm_scratch_is -a is-encrypted -d 'Check that the pool or each path is encrypted'
complete -c ccvm-scratch -n __ccvm_scratch_is -a wipe -d 'Destroy the key, and all data on the disk'
complete -c ccvm-scratch -n __ccvm_scratch_is -a renew -d 'Mount the pool again, empty, with a new key'
complete -c ccvm-scratch -n __ccvm_scratch_is -a config -d 'Show the options in force'
complete -c ccvm-scratch -n __ccvm_scratch_is -a help -d 'Show a short help'
complete -c ccvm-scratch -n '__fish_seen_subcommand_from is-encrypted' -F
complete -c ccvm-scratch -n __ccvm_scratch_is -s h -l help -d 'Show a short help'
complete -c ccvm-scratch -n __ccvm_scratch_is -l version -d 'Show the version'
complete -c ccvm-scratch -n '__ccvm_scratch_is status is-encrypted' -s q -l quiet -d 'Print nothing; the exit status tells'
complete -c ccvm-scratch -n '__ccvm_scratch_is status config' -s j -d 'Print JSON, indented on a terminal'
complete -c ccvm-scratch -n '__ccvm_scratch_is status config' -l json -x -a 'short pretty off' -d 'Print JSON'
complete -c ccvm-scratch -n '__ccvm_scratch_is config' -l root -x -a '(__fish_complete_directories)' -d 'Read the config files of an image'
complete -c ccvm-scratch -n '__ccvm_scratch_is wipe renew' -l yes -d 'Do not ask'
complete -c ccvm-scratch -n '__ccvm_scratch_is renew' -l force -d 'Do not ask, and continue if the pool is in use'
