/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TARGET DIRECTORY: instead of libFuzzer, tries what is in a corpus, in TAP, a file a case. */

#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static void replay(const char *path) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        _cleanup_free_ uint8_t *data = NULL;
        struct stat st;

        CHECK(f && fstat(fileno(f), &st) >= 0);
        data = malloc(st.st_size + 1);
        CHECK(data && fread(data, 1, st.st_size, f) == (size_t) st.st_size);
        LLVMFuzzerTestOneInput(data, st.st_size);
}

static int is_visible(const struct dirent *entry) {
        return entry->d_name[0] != '.';
}

int main(int argc, char *argv[]) {
        struct dirent **entries;

        int n = argc == 2 ? scandir(argv[1], &entries, is_visible, alphasort) : -1;
        if (n <= 0) {
                fprintf(stderr, "%s: takes the directory of a corpus.\n", argv[0]);
                return 2;
        }
        printf("1..%i\n", n);
        for (int i = 0; i < n; i++) {
                char path[4096];
                snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
                replay(path);
                printf("ok %i - %s\n", i + 1, entries[i]->d_name);
                fflush(stdout); /* the next one may end the process */
                free(entries[i]);
        }
        free(entries);
        return EXIT_SUCCESS;
}
