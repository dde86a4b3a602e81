/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding the system's libpcap. See real.h. */
#include "pcap/api/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_LINKER  127 /* what the dynamic linker exits with when a symbol is missing */
#define ENV_LIBRARY  "UNETMAP_LIBPCAP"
#define VERSION_SIZE 32
#define EPROTOS_MAX  64 /* the system's has a dozen */

void *unm_pcap_real_table[PCAP_REAL_N];

#define NAME(name) [PCAP_REAL_ID_##name] = #name,
static const char *const names[PCAP_REAL_N] = {PCAP_FORWARD_LIST(NAME) PCAP_OWN_LIST(NAME)};
#undef NAME

/* The first one is what this build was configured with. */
static const char *const candidates[] = {
	UNM_REAL_LIBPCAP,
	"/usr/lib64/libpcap.so.0.8",
	"/usr/lib/libpcap.so.0.8",
	"/usr/lib64/libpcap.so.1",
	"/usr/lib/libpcap.so.1",
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *library; /* RTLD_NEXT, a handle, or NULL: not found */

/* What libpcap exports besides functions: copies, filled in before the program starts. */
struct eproto {
	const char *s;
	unsigned short p;
};
extern PCAP_API_DEF char pcap_version[VERSION_SIZE];
extern PCAP_API_DEF struct eproto eproto_db[EPROTOS_MAX];
char pcap_version[VERSION_SIZE];
struct eproto eproto_db[EPROTOS_MAX];

static bool
is_real(void *handle)
{
	void *f = dlsym(handle, "pcap_create");

	return f != NULL && f != (void *)pcap_create;
}

/* Opened for good. Return: NULL if it is not there, or is this very library. */
static void *
try_path(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL || is_real(handle))
		return handle;
	dlclose(handle);
	return NULL;
}

static void
find_library(void)
{
	const char *env = secure_getenv(ENV_LIBRARY);
	size_t i;

	if (is_real(RTLD_NEXT)) {
		library = RTLD_NEXT;
		return;
	}
	if (env != NULL && env[0] != '\0') {
		library = try_path(env);
		return;
	}
	for (i = 0; i < sizeof(candidates) / sizeof(candidates[0]) && library == NULL; i++)
		library = try_path(candidates[i]);
}

static void *
look_up(const char *name)
{
	pthread_once(&once, find_library);
	return library != NULL ? dlsym(library, name) : NULL;
}

void *
unm_pcap_real_resolve(enum unm_pcap_real_id id)
{
	const int saved = errno;
	void *f = look_up(names[id]);

	if (f == NULL) {
		fprintf(stderr,
			"unetmap's libpcap: the system's libpcap %s: install it, or "
			"set " ENV_LIBRARY " to its path\n",
			library == NULL ? "is not to be found" : "is too old, it lacks a function");
		_exit(EXIT_LINKER);
	}
	__atomic_store_n(&unm_pcap_real_table[id], f, __ATOMIC_RELAXED);
	errno = saved;
	return f;
}

static __attribute__((constructor)) void
copy_data(void)
{
	const char *version = look_up("pcap_version");
	const struct eproto *real = look_up("eproto_db");
	size_t i;

	if (version != NULL)
		snprintf(pcap_version, sizeof(pcap_version), "%s", version);
	for (i = 0; real != NULL && i < EPROTOS_MAX - 1 && real[i].s != NULL; i++)
		eproto_db[i] = real[i];
}
