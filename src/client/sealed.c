/* SPDX-License-Identifier: BSD-2-Clause */
/* Sealed socket addresses. See sealed.h. */
#include "client/sealed.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/real.h"
#include "shm/atomic.h"

#ifndef SYS_mseal
#define SYS_mseal 462 /* of all architectures */
#endif

#define MAX_SEALED 128u

static const struct sockaddr_un *sealed[MAX_SEALED];
static uint32_t n_sealed; /* stored last */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const struct sockaddr_un *
find(const char *path)
{
	const uint32_t n = unm_load_acquire(&n_sealed);
	uint32_t i;

	for (i = 0; i < n; i++)
		if (strcmp(sealed[i]->sun_path, path) == 0)
			return sealed[i];
	return NULL;
}

static const struct sockaddr_un *
make(const char *path)
{
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct sockaddr_un *sa;

	if (n_sealed == MAX_SEALED) {
		errno = ENOSPC;
		return NULL;
	}
	sa = UNM_REAL(mmap)(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sa == MAP_FAILED || sa == NULL) /* never NULL, which cppcheck does not know */
		return NULL;
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, path, strlen(path) + 1);
	if (mprotect(sa, size, PROT_READ) != 0) {
		UNM_REAL(munmap)(sa, size);
		return NULL;
	}
	(void)syscall(SYS_mseal, sa, size, 0); /* an older kernel has none */
	sealed[n_sealed] = sa;
	unm_store_release(&n_sealed, n_sealed + 1);
	return sa;
}

const struct sockaddr_un *
unm_sealed_make(const char *path)
{
	const struct sockaddr_un *sa;

	if (path[0] == '\0' || strlen(path) >= sizeof(sa->sun_path)) {
		errno = EINVAL;
		return NULL;
	}
	pthread_mutex_lock(&lock);
	sa = find(path);
	if (sa == NULL)
		sa = make(path);
	pthread_mutex_unlock(&lock);
	return sa;
}

const struct sockaddr_un *
unm_sealed_find(const char *path, struct sockaddr_un *any)
{
	if (unm_load_acquire(&n_sealed) > 0)
		return find(path);
	*any = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(any->sun_path, path, strlen(path) + 1);
	return any;
}
