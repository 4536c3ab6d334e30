/* Stands before the C library in a process that a drill tests (LD_PRELOAD): its disk fails to sync, its clock is
 * set wrong. What is wrong stands in the file that DRILL_FAULTS names, two 64-bit numbers that may change at any
 * time: whether fsync and fdatasync fail with EIO, and by how many seconds the clock of the day is off. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct faults {
    int64_t sync_fails;
    int64_t clock_off_s;
};

static const volatile struct faults none, *faults = &none;

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_gettimeofday)(struct timeval *, void *);

/* Looked up before there is a second thread: the loader's lock may be held by one that loads a library. */
__attribute__((constructor)) static void look_up(void) {
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DRILL_FAULTS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        faults = mapped;
    close(file);
}

static int failed(void) {
    errno = EIO;
    return -1;
}

int fsync(int file) {
    if (!real_fsync)
        look_up();
    return faults->sync_fails ? failed() : real_fsync(file);
}

int fdatasync(int file) {
    if (!real_fdatasync)
        look_up();
    return faults->sync_fails ? failed() : real_fdatasync(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock_gettime)
        look_up();
    int code = real_clock_gettime(clock, now);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += faults->clock_off_s;
    return code;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    if (!real_gettimeofday)
        look_up();
    int code = real_gettimeofday(now, zone);
    if (code == 0)
        now->tv_sec += faults->clock_off_s;
    return code;
}

time_t time(time_t *now) {
    struct timespec told;
    clock_gettime(CLOCK_REALTIME, &told);
    if (now)
        *now = told.tv_sec;
    return told.tv_sec;
}
