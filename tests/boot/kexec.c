/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kexec KERNEL INITRD CMDLINE: loads a kernel, for systemctl kexec. The guest has no kexec-tools, and needs
 * no more of them than this. */

#include <fcntl.h>
#include <sys/syscall.h>

#include "macro.h"

int main(int argc, char *argv[]) {
        if (argc != 4)
                return 2;

        int kernel = open(argv[1], O_RDONLY | O_CLOEXEC), initrd = open(argv[2], O_RDONLY | O_CLOEXEC);
        if (kernel < 0 || initrd < 0 ||
            syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0UL) < 0) {
                perror("kexec");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
