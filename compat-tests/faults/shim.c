/* Lets calls of the C library fail, as a disk would: preloaded into a server, told by a table that it shares.
 *
 * FAULTS_TABLE names a file of RULES records, which the test maps as well (shim.py knows the layout) and changes while
 * the server runs. A rule is for one kind of call on paths that contain a text, or end with it if that ends with a
 * dollar sign. What the server does by system calls of its own, such as tempfile's rename, does not come by here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RULES = 8 };

struct rule {
    char call[16];   /* empty: no rule */
    char path[104];
    int32_t error;
    int32_t skip;    /* how many calls pass first */
    int32_t count;   /* how many fail then; negative: all */
    int32_t hits;    /* how many have failed */
};

static struct rule *table;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("FAULTS_TABLE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, RULES * sizeof(struct rule), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        table = mapped;
}

static int fits(const char *path, const char *pattern) {
    size_t length = strlen(pattern), given = strlen(path);
    if (length == 0 || pattern[length - 1] != '$')
        return strstr(path, pattern) != NULL;
    length--;
    return given >= length && strncmp(path + given - length, pattern, length) == 0;
}

/* Whether this call is to fail; errno says how. */
static int fails(const char *call, const char *path) {
    if (!table)
        return 0;
    for (int number = 0; number < RULES; number++) {
        struct rule *rule = &table[number];
        if (strcmp(rule->call, call) != 0 || !fits(path, rule->path))
            continue;
        if (__atomic_fetch_sub(&rule->skip, 1, __ATOMIC_SEQ_CST) > 0)
            continue;
        if (rule->count >= 0 && __atomic_fetch_sub(&rule->count, 1, __ATOMIC_SEQ_CST) <= 0) {
            __atomic_store_n(&rule->count, 0, __ATOMIC_SEQ_CST);
            continue;
        }
        __atomic_fetch_add(&rule->hits, 1, __ATOMIC_SEQ_CST);
        errno = rule->error;
        return 1;
    }
    return 0;
}

static int is_watched(const char *call) {
    for (int number = 0; table && number < RULES; number++)
        if (strcmp(table[number].call, call) == 0)
            return 1;
    return 0;
}

static int fails_on(const char *call, int file) {
    char link[64], path[4096];
    if (!is_watched(call))
        return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(call, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name, parameters, path, call)                                                \
    int name parameters {                                                                 \
        mode_t mode = 0;                                                                  \
        if (flags & (O_CREAT | O_TMPFILE)) {                                              \
            va_list more;                                                                 \
            va_start(more, flags);                                                        \
            mode = va_arg(more, mode_t);                                                  \
            va_end(more);                                                                 \
        }                                                                                 \
        if (fails((flags & O_ACCMODE) == O_RDONLY ? "open" : "create", path))             \
            return -1;                                                                    \
        return call;                                                                      \
    }
OPEN(open, (const char *path, int flags, ...), path, NEXT(open)(path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), path, NEXT(open64)(path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), path, NEXT(openat)(at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), path, NEXT(openat64)(at, path, flags, mode))

ssize_t write(int file, const void *bytes, size_t size) {
    return fails_on("write", file) ? -1 : NEXT(write)(file, bytes, size);
}
ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
    return fails_on("write", file) ? -1 : NEXT(pwrite)(file, bytes, size, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
    return fails_on("write", file) ? -1 : NEXT(pwrite64)(file, bytes, size, at);
}
ssize_t read(int file, void *bytes, size_t size) {
    return fails_on("read", file) ? -1 : NEXT(read)(file, bytes, size);
}
ssize_t pread(int file, void *bytes, size_t size, off_t at) {
    return fails_on("read", file) ? -1 : NEXT(pread)(file, bytes, size, at);
}
ssize_t pread64(int file, void *bytes, size_t size, off64_t at) {
    return fails_on("read", file) ? -1 : NEXT(pread64)(file, bytes, size, at);
}
ssize_t preadv2(int file, const struct iovec *to, int count, off_t at, int flags) {
    return fails_on("read", file) ? -1 : NEXT(preadv2)(file, to, count, at, flags);
}
ssize_t preadv64v2(int file, const struct iovec *to, int count, off64_t at, int flags) {
    return fails_on("read", file) ? -1 : NEXT(preadv64v2)(file, to, count, at, flags);
}
ssize_t sendfile(int to, int file, off_t *at, size_t size) {
    return fails_on("read", file) ? -1 : NEXT(sendfile)(to, file, at, size);
}
ssize_t sendfile64(int to, int file, off64_t *at, size_t size) {
    return fails_on("read", file) ? -1 : NEXT(sendfile64)(to, file, at, size);
}
int fsync(int file) { return fails_on("fsync", file) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return fails_on("fsync", file) ? -1 : NEXT(fdatasync)(file); }
int ftruncate(int file, off_t size) { return fails_on("truncate", file) ? -1 : NEXT(ftruncate)(file, size); }
int ftruncate64(int file, off64_t size) { return fails_on("truncate", file) ? -1 : NEXT(ftruncate64)(file, size); }
int rename(const char *from, const char *to) { return fails("rename", to) ? -1 : NEXT(rename)(from, to); }
int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    return fails("link", to) ? -1 : NEXT(linkat)(from_at, from, to_at, to, flags);
}
int unlink(const char *path) { return fails("unlink", path) ? -1 : NEXT(unlink)(path); }
int mkdir(const char *path, mode_t mode) { return fails("mkdir", path) ? -1 : NEXT(mkdir)(path, mode); }

/* A rule for `sleep` whose path is the name of a thread lets it sleep for no time at all. */
int nanosleep(const struct timespec *wanted, struct timespec *left) {
    char thread[16] = "";
    if (is_watched("sleep") && prctl(PR_GET_NAME, thread) == 0 && fails("sleep", thread))
        return 0;
    return NEXT(nanosleep)(wanted, left);
}
