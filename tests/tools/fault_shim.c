/* Counts what a process does to the files of one folder, and fails or dies at one of them.

   Loaded before the C library (LD_PRELOAD). Nothing is counted before faults_arm. An operation
   that is made to fail writes half of its bytes first, as a full disk does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FILES 4096
enum { KILL = 0, ONCE = 1, LASTING = 2, FREEING = 4 };

static char folder[4096];
static size_t length;
static atomic_long done;
static long failing_at = -1;
static int failing_with, how;
static char opened[MOST_FILES];

void faults_arm(const char *where, long at, int error, int flags) {
    snprintf(folder, sizeof folder, "%s/", where);
    failing_at = at;
    failing_with = error;
    how = flags;
    atomic_store(&done, 0);
    length = strlen(folder);
}

long faults_done(void) { return atomic_load(&done); }

static int ours(const char *path) {
    char whole[8192];
    if (!length || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(whole, 4096)) return 0;
        strcat(whole, "/");
        strncat(whole, path, 4000);
        path = whole;
    }
    return strncmp(path, folder, length) == 0;
}

static int known(int fd) { return fd >= 0 && fd < MOST_FILES && opened[fd]; }

/* 1: the operation must fail, and errno says how. `frees`: it makes room. */
static int fails(int frees) {
    long number = atomic_fetch_add(&done, 1);
    if (failing_at < 0 || number < failing_at) return 0;
    if (!failing_with) kill(getpid(), SIGKILL);
    if (number > failing_at && !(how & LASTING)) return 0;
    if (frees && !(how & FREEING)) return 0;
    errno = failing_with;
    return 1;
}

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); \
        } \
        REAL(name, int, const char *, int, ...); \
        int writes = (flags & (O_WRONLY | O_RDWR)) && ours(path); \
        if (writes && (flags & (O_CREAT | O_TRUNC)) && fails(0)) return -1; \
        int fd = real(path, flags, mode), before = errno; \
        if (fd >= 0 && fd < MOST_FILES) opened[fd] = (char)writes; \
        errno = before; \
        return fd; \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int at, const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); \
        } \
        REAL(name, int, int, const char *, int, ...); \
        int writes = (flags & (O_WRONLY | O_RDWR)) && at == AT_FDCWD && ours(path); \
        if (writes && (flags & (O_CREAT | O_TRUNC)) && fails(0)) return -1; \
        int fd = real(at, path, flags, mode), before = errno; \
        if (fd >= 0 && fd < MOST_FILES) opened[fd] = (char)writes; \
        errno = before; \
        return fd; \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    REAL(close, int, int);
    if (fd >= 0 && fd < MOST_FILES) opened[fd] = 0;
    return real(fd);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write, ssize_t, int, const void *, size_t);
    if (known(fd) && fails(0)) { int e = errno; real(fd, data, size / 2); errno = e; return -1; }
    return real(fd, data, size);
}

#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) { \
        REAL(name, ssize_t, int, const void *, size_t, offset_type); \
        if (known(fd) && fails(0)) { \
            int e = errno; real(fd, data, size / 2, offset); errno = e; return -1; \
        } \
        return real(fd, data, size, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev, ssize_t, int, const struct iovec *, int);
    if (known(fd) && fails(0)) {
        int e = errno; real(fd, parts, count > 1 ? count / 2 : 0); errno = e; return -1;
    }
    return real(fd, parts, count);
}

#define ON_FILE(name, frees, args, types, ...) \
    int name args { \
        REAL(name, int, __VA_ARGS__); \
        if (known(fd) && fails(frees)) return -1; \
        return real types; \
    }
ON_FILE(ftruncate, 1, (int fd, off_t size), (fd, size), int, off_t)
ON_FILE(ftruncate64, 1, (int fd, off64_t size), (fd, size), int, off64_t)
ON_FILE(posix_fallocate, 0, (int fd, off_t a, off_t b), (fd, a, b), int, off_t, off_t)

/* Directories are opened for reading, so every fsync counts that is of a file of ours or of one
   opened for reading: an unknown descriptor is a directory as soon as something is armed. */
static int synced(int fd) {
    struct stat about;
    return length && (known(fd) || (fstat(fd, &about) == 0 && (S_ISDIR(about.st_mode) || S_ISREG(about.st_mode))));
}
int fsync(int fd) { REAL(fsync, int, int); if (synced(fd) && fails(0)) return -1; return real(fd); }
int fdatasync(int fd) {
    REAL(fdatasync, int, int); if (synced(fd) && fails(0)) return -1; return real(fd);
}

#define ON_PATH(name, frees, mine, args, types, ...) \
    int name args { \
        REAL(name, int, __VA_ARGS__); \
        if (ours(mine) && fails(frees)) return -1; \
        return real types; \
    }
ON_PATH(rename, 0, b, (const char *a, const char *b), (a, b), const char *, const char *)
ON_PATH(link, 0, b, (const char *a, const char *b), (a, b), const char *, const char *)
ON_PATH(unlink, 1, a, (const char *a), (a), const char *)
ON_PATH(rmdir, 1, a, (const char *a), (a), const char *)
ON_PATH(mkdir, 0, a, (const char *a, mode_t m), (a, m), const char *, mode_t)
ON_PATH(truncate, 1, a, (const char *a, off_t n), (a, n), const char *, off_t)
ON_PATH(linkat, 0, d, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e), int, const char *, int, const char *, int)

int unlinkat(int at, const char *path, int flags) {  /* of shutil.rmtree: below an open folder */
    REAL(unlinkat, int, int, const char *, int);
    if (length && fails(1)) return -1;
    return real(at, path, flags);
}
